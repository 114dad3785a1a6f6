// Requests over time, by how they ended. Dragging over it zooms.
import type { UseQueryResult } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { Histogram } from '../../api/types';
import { TimeChart } from '../../components/chart/TimeChart';
import type { ChartSeries } from '../../components/chart/options';
import { Skeleton } from '../../components/states/States';
import { count, duration } from '../../format/units';

const HEIGHT = 96;

/** Errors stand on the axis, where their height can be compared; slow and ok ones on top of them. */
function seriesOf({ buckets, slow_us }: Histogram): ChartSeries[] {
  return [
    { label: 'ok', colour: 'var(--bar)', values: buckets.map((b) => b.ok) },
    { label: `slow, >${duration(slow_us)}`, colour: 'var(--slow-mark)', values: buckets.map((b) => b.slow) },
    { label: 'errors', colour: 'var(--error)', values: buckets.map((b) => b.client_error + b.server_error + b.timeout) },
  ];
}

export function HistogramPanel({ query }: { query: UseQueryResult<Histogram> }) {
  const { data } = query;
  const times = useMemo(() => data?.buckets.map((b) => b.time) ?? [], [data]);
  const series = useMemo(() => (data ? seriesOf(data) : []), [data]);
  if (query.error && !data) return null;
  return (
    <div className="histogram">
      {data ? <TimeChart title="Requests" times={times} series={series} format={count} height={HEIGHT} stacked summary="sum" /> : <Skeleton height={HEIGHT + 24} />}
    </div>
  );
}
