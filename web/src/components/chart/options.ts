// uPlot's options for a small chart: quiet grid, few ticks, times on a 24 hour clock.
import uPlot from 'uplot';
import { clock, day } from '../../format/time';
import { resolveColour } from '../../theme/useTheme';

export interface ChartSeries {
  label: string;
  values: (number | null)[];
  /** A `var(--x)` of the theme. */
  colour: string;
  dashed?: boolean;
}

export interface PlotShape {
  /** Counts have no halves, so their axis has none either. */
  whole: boolean;
  width: number;
  height: number;
  stacked: boolean;
  format: (value: number) => string;
  onHover: (index: number | null) => void;
  onZoom: (from: number, to: number) => void;
}

const FONT = '11px system-ui, sans-serif';

function tickTime(splits: number[], step: number): string[] {
  return splits.map((s) => (step >= 86_400 ? day(s).slice(5) : step >= 60 ? clock(s).slice(0, 5) : clock(s)));
}

const WHOLE_STEPS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();

function axes(format: (value: number) => string, whole: boolean): uPlot.Axis[] {
  const stroke = resolveColour('var(--muted)');
  const grid = { stroke: resolveColour('var(--line)'), width: 1 };
  const common = { stroke, font: FONT, ticks: { show: false } };
  return [
    { ...common, grid: { show: false }, size: 24, space: 64, gap: 7, values: (_: uPlot, splits: number[], __: number, ___: number, step: number) => tickTime(splits, step) },
    { ...common, grid, size: whole ? 40 : 68, space: 26, gap: 6, ...(whole && { incrs: WHOLE_STEPS }), values: (_: uPlot, splits: number[]) => splits.map(format) },
  ];
}

function seriesOptions(series: ChartSeries, stacked: boolean): uPlot.Series {
  const stroke = resolveColour(series.colour);
  if (!stacked) {
    return { label: series.label, stroke, width: 1.4, points: { show: false }, ...(series.dashed ? { dash: [4, 3] } : { fill: `${stroke}1c` }) };
  }
  const bars = uPlot.paths.bars?.({ size: [0.82, 40], align: 1 });
  return { label: series.label, fill: stroke, width: 0, points: { show: false }, ...(bars && { paths: bars }) };
}

/** With an axis that starts at zero and is never empty. */
const fromZero = (_: uPlot, __: number, max: number): [number, number] => [0, max > 0 ? max * 1.12 : 1];

export function plotOptions(series: ChartSeries[], shape: PlotShape): uPlot.Options {
  return {
    width: shape.width,
    height: shape.height,
    legend: { show: false },
    padding: [6, 18, 0, 0],
    cursor: { y: false, points: { show: !shape.stacked, size: 5 }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true }, y: { range: fromZero } },
    axes: axes(shape.format, shape.whole),
    series: [{}, ...series.map((s) => seriesOptions(s, shape.stacked))],
    hooks: {
      setCursor: [(u) => shape.onHover(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          if (u.select.width < 6) return;
          const from = u.posToVal(u.select.left, 'x');
          const to = u.posToVal(u.select.left + u.select.width, 'x');
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          shape.onZoom(from, to);
        },
      ],
    },
  };
}

/** Stacks by painting sums, the tallest first: what stands lowest is painted last. */
export function plotData(times: number[], series: ChartSeries[], stacked: boolean): uPlot.AlignedData {
  if (!stacked) return [times, ...series.map((s) => s.values)];
  const sums = series.map((_, from) => times.map((__, i) => series.slice(from).reduce((sum, s) => sum + (s.values[i] ?? 0), 0)));
  return [times, ...sums];
}
