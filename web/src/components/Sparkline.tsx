// A rate over the range as a small filled line. Its values are in the card beside it, so it is hidden from readers.
interface Props {
  values: number[];
  width: number;
  height: number;
  colour: string;
}

export function Sparkline({ values, width, height, colour }: Props) {
  if (values.length < 2) return <svg width={width} height={height} aria-hidden="true" />;
  // Zero is the floor: a rate that wobbles by 2 % must not look like a storm.
  const top = Math.max(...values) * 1.1 || 1;
  const x = (i: number): number => (i * width) / (values.length - 1);
  const y = (v: number): number => height - 1 - (v / top) * (height - 2);
  const line = values.map((v, i) => `${i ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join('');
  return (
    <svg width={width} height={height} aria-hidden="true" className="sparkline">
      <path d={`${line}L${width} ${height}L0 ${height}Z`} fill={colour} opacity="0.14" />
      <path d={line} fill="none" stroke={colour} strokeWidth="1.3" strokeLinejoin="round" />
    </svg>
  );
}
