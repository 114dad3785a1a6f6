// A chart over time: drag to zoom, hover to read, and the same figures as a table or CSV.
import { useState } from 'react';
import { clock, full } from '../../format/time';
import { useRange } from '../../state/useUrl';
import { zoomed } from '../../state/range';
import { copyText } from '../copy';
import { Icon } from '../Icon';
import { Plot } from './Plot';
import type { ChartSeries } from './options';
import './chart.css';

interface Props {
  title: string;
  times: number[];
  series: ChartSeries[];
  format: (value: number) => string;
  height?: number;
  /** Each series stands on the ones after it. */
  stacked?: boolean;
  /** What the legend shows while nothing is hovered: the sum or the last value. */
  summary?: 'sum' | 'last';
}

const lastOf = (values: (number | null)[]): number | null => values.findLast((v) => v !== null) ?? null;
const sumOf = (values: (number | null)[]): number => values.reduce<number>((sum, v) => sum + (v ?? 0), 0);

const csvOf = (times: number[], series: ChartSeries[]): string =>
  [['time', ...series.map((s) => s.label)], ...times.map((t, i) => [full(t * 1e6), ...series.map((s) => s.values[i] ?? '')])].map((row) => row.join(',')).join('\n');

export function TimeChart({ title, times, series, format, height = 88, stacked = false, summary = 'last' }: Props) {
  const { range, setRange } = useRange();
  const [hovered, setHovered] = useState<number | null>(null);
  const [asTable, setAsTable] = useState(false);
  const at = hovered !== null && hovered < times.length ? hovered : null;
  const shown = (s: ChartSeries): number | null => (at !== null ? (s.values[at] ?? null) : summary === 'sum' ? sumOf(s.values) : lastOf(s.values));
  return (
    <figure className="chart" aria-label={title}>
      <figcaption className="chart-head">
        <span className="chart-title">{title}</span>
        <ul className="legend">
          {series.map((s) => (
            <li key={s.label}><i style={{ background: s.colour }} />{s.label} <b>{shown(s) === null ? '–' : format(shown(s)!)}</b></li>
          ))}
        </ul>
        <span className="muted chart-time">{at === null ? '' : clock(times[at]!)}</span>
        <span className="chart-tools">
          <button className="icon-button" aria-pressed={asTable} title={asTable ? 'Show as chart' : 'Show as table'} aria-label={asTable ? 'Show as chart' : 'Show as table'} onClick={() => setAsTable(!asTable)}><Icon name="table" size={14} /></button>
          <button className="icon-button" title="Copy as CSV" aria-label="Copy as CSV" onClick={() => copyText(csvOf(times, series))}><Icon name="copy" size={14} /></button>
        </span>
      </figcaption>
      {asTable
        ? <ChartTable times={times} series={series} format={format} height={height} />
        : <Plot times={times} series={series} format={format} height={height} stacked={stacked} onHover={setHovered} onZoom={(from, to) => setRange(zoomed(range, from, to))} />}
    </figure>
  );
}

function ChartTable({ times, series, format, height }: { times: number[]; series: ChartSeries[]; format: (v: number) => string; height: number }) {
  return (
    <div className="chart-table" style={{ maxHeight: Math.max(height, 160) }} tabIndex={0}>
      <table className="list">
        <thead><tr><th>Time</th>{series.map((s) => <th key={s.label} className="num">{s.label}</th>)}</tr></thead>
        <tbody>
          {times.map((t, i) => (
            <tr key={t}><td>{clock(t)}</td>{series.map((s) => <td key={s.label} className="num">{s.values[i] == null ? '–' : format(s.values[i]!)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
