// Rate, errors, duration: as four figures and as three charts over the range.
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { RedPoint } from '../../api/types';
import { TimeChart } from '../../components/chart/TimeChart';
import { Icon } from '../../components/Icon';
import { named } from '../../api/calls';
import { withTerms } from '../../filter/edit';
import { duration, rate, ratio } from '../../format/units';
import { sharedOf } from '../../state/search';
import { useSearchState } from '../../state/useUrl';

interface Red {
  request_rate: number;
  error_ratio: number;
  p50_us: number | null;
  p99_us: number | null;
}

export function Figures({ of }: { of: Red }) {
  return (
    <dl className="figures">
      <div><dt>Rate</dt><dd>{rate(of.request_rate)}</dd></div>
      <div><dt>Errors</dt><dd className={of.error_ratio > 0 ? 'error-text' : ''}>{ratio(of.error_ratio)}</dd></div>
      <div><dt>Median</dt><dd>{duration(of.p50_us)}</dd></div>
      <div><dt>p99</dt><dd>{duration(of.p99_us)}</dd></div>
    </dl>
  );
}

export function RedCharts({ series }: { series: RedPoint[] }) {
  const times = useMemo(() => series.map((p) => p.time), [series]);
  const rates = useMemo(() => [{ label: 'requests', colour: 'var(--accent)', values: series.map((p) => p.request_rate) }], [series]);
  const errors = useMemo(() => [{ label: 'errors', colour: 'var(--error)', values: series.map((p) => p.error_rate) }], [series]);
  const latency = useMemo(() => [
    { label: 'p99', colour: 'var(--slow-mark)', values: series.map((p) => p.p99_us) },
    { label: 'median', colour: 'var(--accent)', values: series.map((p) => p.p50_us), dashed: true },
  ], [series]);
  return (
    <div className="charts">
      <TimeChart title="Rate" times={times} series={rates} format={(v) => rate(v)} />
      <TimeChart title="Errors" times={times} series={errors} format={(v) => rate(v, 'err')} />
      <TimeChart title="Latency" times={times} series={latency} format={duration} height={104} />
    </div>
  );
}

type Terms = [key: string, value: string][];

export function RequestsLink({ terms, label, other }: { terms: Terms; label: string; other?: { terms: Terms; label: string } }) {
  const search = useSearchState();
  const to = (t: Terms) => ({ ...sharedOf(search), filter: withTerms(search.filter ?? '', t.map(([key, value]) => [key, named(value)])) });
  return (
    <div className="row section drawer-links">
      <Link className="button" to="/requests" search={to(terms)} data-testid="to-requests"><Icon name="requests" size={14} /> {label}</Link>
      {other && <Link className="button" to="/requests" search={to(other.terms)}>{other.label}</Link>}
    </div>
  );
}
