// What the slow or the failed requests have in common, and the others have not.
import { useComparison, type ViewScope } from '../../api/queries';
import type { Comparison, Difference } from '../../api/types';
import { Drawer } from '../../components/Drawer';
import { Failure, SkeletonRows } from '../../components/states/States';
import { Value } from '../../components/Value';
import { count, duration, plural, ratio } from '../../format/units';
import { usePatch, useSearchState } from '../../state/useUrl';

type Of = 'slow' | 'failed';

/** In µs, for the choice of where slow begins. */
const LIMITS = [10_000, 50_000, 100_000, 500_000, 1_000_000];

/** Attributes of the same requests that are named. */
const MOST_ALONG = 4;

function Share({ of, total, className, who }: { of: number; total: number; className: string; who: string }) {
  const share = total > 0 ? of / total : 0;
  return (
    <span className="share" title={`${count(of)} of ${count(total)} ${who}`}>
      <span className="share-track"><i className={className} style={{ width: `${share * 100}%` }} /></span>
      <span className="num">{ratio(share)}</span>
      <span className="num muted small nowrap">{count(of)} of {count(total)}</span>
    </span>
  );
}

function Line({ difference: d, chosen }: { difference: Difference; chosen: string }) {
  return (
    <li className="difference" data-testid="difference">
      <span className="difference-name"><span className="muted">{d.name}</span> <Value value={d.value} className="wrap" {...(d.key !== '' && { tag: d.key })} /></span>
      {d.along.length > 0 && <span className="difference-along muted small" title={`As many requests have: ${d.along.join(', ')}`}>with it: {d.along.slice(0, MOST_ALONG).join(', ')}{d.along.length > MOST_ALONG && ` and ${d.along.length - MOST_ALONG} more`}</span>}
      <span className="muted small">{chosen}</span><Share of={d.chosen} total={d.chosen_total} className="chosen" who={`${chosen} requests`} />
      <span className="muted small">others</span><Share of={d.rest} total={d.rest_total} className="others" who="other requests" />
    </li>
  );
}

function Answer({ data, of }: { data: Comparison; of: Of }) {
  const chosen = of === 'slow' ? 'slow' : 'failed';
  if (data.chosen === 0) return <p className="compare-empty muted">{of === 'slow' ? 'No request of this range and filter was slow. Lower the limit, or widen the range.' : 'No request of this range and filter failed.'}</p>;
  if (data.rest === 0) return <p className="compare-empty muted">All requests of this range and filter are {of === 'slow' ? 'slower than that' : 'failed'}, so there is nothing to compare with. Widen the range, or drop a term of the filter.</p>;
  return (
    <>
      <p className="compare-lead"><b>{plural(data.chosen, 'request')}</b> {of === 'slow' ? <>took longer than <b>{duration(data.slow_us)}</b></> : 'failed'}, {count(data.rest)} others did not{data.one_in > 1 && <span className="muted"> (of every {count(data.one_in)}th request)</span>}.
        {data.differences.length > 0 && <> What more of them have than of the others, the largest difference first:</>}</p>
      {data.differences.length === 0
        ? <p className="compare-empty muted">Nothing sets them apart: endpoints, clients, instances, hosts, codes, sizes and where the time goes are spread alike. What differs may be outside of what is seen: locks, garbage collection, a busy host.</p>
        : <ul className="differences">{data.differences.map((d) => <Line key={`${d.name} ${d.value}`} difference={d} chosen={chosen} />)}</ul>}
      {data.differences.some((d) => d.key === '' && d.name === 'where the time goes') && <p className="muted small">Where the time goes is read from the traces of up to twelve requests of each side.</p>}
    </>
  );
}

export function CompareDrawer({ scope, of }: { scope: ViewScope; of: Of }) {
  const search = useSearchState();
  const patch = usePatch();
  const query = useComparison(scope, of, search.slow);
  const close = (): void => patch({ compare: undefined, slow: undefined });
  const limits = search.slow !== undefined && !LIMITS.includes(search.slow) ? [...LIMITS, search.slow].sort((a, b) => a - b) : LIMITS;
  return (
    <Drawer label="Comparison" title="What do they have in common?" subtitle={scope.filter === '' ? 'All requests from outside in this range' : 'Requests from outside that match the filter'} onClose={close}>
      <div className="row section compare-choice">
        <div className="segments" role="group" aria-label="Which requests">
          <button aria-pressed={of === 'slow'} onClick={() => patch({ compare: 'slow' })}>Slow</button>
          <button aria-pressed={of === 'failed'} onClick={() => patch({ compare: 'failed' })}>Failed</button>
        </div>
        {of === 'slow' && (
          <label className="row"><span className="muted">Slow is</span>
            <select className="button" value={search.slow ?? ''} onChange={(e) => patch({ slow: e.target.value === '' ? undefined : Number(e.target.value) })}>
              <option value="">the slowest 5 %</option>
              {limits.map((us) => <option key={us} value={us}>above {duration(us)}</option>)}
            </select>
          </label>
        )}
      </div>
      {query.error && !query.data ? <Failure error={query.error} retry={() => void query.refetch()} what="The comparison" />
        : query.data ? <div className={query.isPlaceholderData ? 'compare stale' : 'compare'}><Answer data={query.data} of={of} /></div>
          : <SkeletonRows rows={9} height={22} />}
    </Drawer>
  );
}
