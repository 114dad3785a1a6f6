// One trace: what took its time in a sentence, then every call that a request caused, on one scale.
import { Link, useParams } from '@tanstack/react-router';
import { useEffect } from 'react';
import { useTrace } from '../../api/queries';
import { ApiError } from '../../api/http';
import type { Trace } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Empty, Failure, Skeleton, SkeletonRows } from '../../components/states/States';
import { withTerms } from '../../filter/edit';
import { full } from '../../format/time';
import { duration, plural } from '../../format/units';
import { useKeys } from '../../state/keys';
import { sharedOf } from '../../state/search';
import { useSearchState } from '../../state/useUrl';
import { serviceColour } from '../../theme/serviceColour';
import { StatusMark } from '../requests/StatusMark';
import { SpanDrawer } from './SpanDrawer';
import { Summary } from './Summary';
import { TraceToolbar } from './TraceToolbar';
import { headOf, lastOf, nameOf, type Call } from './tree';
import { useCalls, useTree } from './useTree';
import { Waterfall } from './Waterfall';
import '../requests/requests.css';
import './trace.css';

function useTitle(root: Call | undefined, total: number): void {
  const name = root ? `${lastOf(root).row.server} ${nameOf(root)} · ${duration(total)} · ` : '';
  useEffect(() => {
    document.title = `${name}Trace · Hadal`;
  }, [name]);
}

function Heading({ root, calls }: { root: Call; calls: Call[] }) {
  const search = useSearchState();
  const { row } = lastOf(root);
  const services = new Set(calls.map((c) => lastOf(c).row.server)).size;
  const compare = { ...sharedOf(search), filter: withTerms('', [['auto_service_1', row.server], ['endpoint', row.endpoint]]), compare: root.failed ? ('failed' as const) : ('slow' as const) };
  return (
    <header className="trace-head">
      <h2 className="trace-title">
        <i className="service-dot" style={{ background: serviceColour(row.server) }} aria-hidden="true" />
        <span className="clip" title={`${row.server} ${nameOf(root)}`}>{row.server} <span className="muted">{nameOf(root)}</span></span>
      </h2>
      <span className="row trace-facts muted">
        <span className={`nowrap ${root.failed ? 'error-text' : ''}`}><StatusMark status={row.response_status} />{row.response_code ?? row.response_status.replace('_', ' ')}</span>
        <span className="nowrap">{plural(calls.length, 'call')} · {plural(services, 'service')}</span>
        <span className="nowrap" title="When it began">{full(row.start_time_us)}</span>
        <span className="nowrap">from {headOf(root).row.client}</span>
      </span>
      <span className="grow" />
      {row.endpoint && <Link className="button" to="/traces" search={compare} data-testid="to-compare" title={`What the ${root.failed ? 'failed' : 'slow'} requests to this endpoint have in common, and the others have not`}><Icon name="compare" size={14} /> <span>{root.failed ? 'Failed' : 'Slow'} against normal</span></Link>}
    </header>
  );
}

/** What is missing is said, with what it means. */
function Notices({ trace, withOrphans, setWithOrphans }: { trace: Trace; withOrphans: boolean; setWithOrphans: (on: boolean) => void }) {
  const found = trace.orphans_found;
  return (
    <>
      {trace.truncated && (
        <p className="notice" data-testid="trace-truncated" title="A trace is looked for at most two seconds, and up to 5000 spans of it are shown. Times of what is shown are right.">
          <span className="slow-text"><Icon name="warn" size={14} /></span><span className="grow">This is not all of the trace: it is too large, or was not found in time.</span>
        </p>
      )}
      {found > 0 && (
        <p className="notice" data-testid="trace-orphans" title="The processes of this trace made these calls while they worked on it. They may belong here or to other requests, and nothing tells which.">
          <span className="muted"><Icon name="not" size={14} /></span><span className="grow">{plural(found, 'call')} meanwhile without a sure parent.</span>
          <button className="button" aria-pressed={withOrphans} onClick={() => setWithOrphans(!withOrphans)}>{withOrphans ? 'Hide' : trace.orphans.length < found ? `Show ${trace.orphans.length}` : 'Show'}</button>
        </p>
      )}
    </>
  );
}

function Whole({ id, trace }: { id: string; trace: Trace }) {
  const { calls, bySpan, orphans, scale } = useCalls(trace);
  const tree = useTree(id, calls, bySpan, orphans);
  const errors = calls.filter((c) => c.failed).length;
  useTitle(calls[0], trace.total_us);
  useKeys({
    ArrowDown: () => tree.step(1), ArrowUp: () => tree.step(-1), j: () => tree.step(1), k: () => tree.step(-1), ArrowLeft: tree.left, ArrowRight: tree.right,
    Enter: () => tree.currentCall && tree.open(tree.currentCall),
    e: () => tree.showNext((c) => c.failed),
    '/': () => document.querySelector<HTMLInputElement>('[data-testid=trace-find]')?.focus(),
  });
  const select = (span: string): void => {
    const call = bySpan.get(span);
    if (call) tree.show(call);
  };
  return (
    <div className="trace-view">
      <div className="trace-main">
        <Heading root={calls[0]!} calls={calls} />
        <Summary trace={trace} select={select} />
        <Notices trace={trace} withOrphans={tree.withOrphans} setWithOrphans={tree.setWithOrphans} />
        <TraceToolbar find={tree.find} setFind={(text) => tree.patch({ find: text || undefined }, { replace: true })} found={tree.found.size} nextFound={() => tree.showNext((c) => tree.found.has(c.id))}
          errors={errors} nextError={() => tree.showNext((c) => c.failed)} foldable={tree.foldable} allFolded={tree.allFolded} foldAll={tree.foldAll} />
        <Waterfall lines={tree.lines} orphans={tree.withOrphans ? orphans : []} scale={scale} current={tree.current} found={tree.found} folded={tree.folded} open={tree.open} toggle={tree.toggle} />
      </div>
      {tree.opened && <SpanDrawer key={tree.opened.id} call={tree.opened} orphan={orphans.includes(tree.opened)} close={tree.close} />}
    </div>
  );
}

function TraceSkeleton() {
  useTitle(undefined, 0);
  return (
    <div className="trace-skeleton" role="status" aria-label="Looking for the trace">
      <Skeleton height={22} width={320} />
      <Skeleton height={22} width="70%" />
      <SkeletonRows rows={12} />
    </div>
  );
}

function NoTrace() {
  useTitle(undefined, 0);
  const search = useSearchState();
  return (
    <Empty icon="traces" title="There is no such request" actions={<Link className="button" to="/traces" search={sharedOf(search)}><Icon name="traces" /> All traces</Link>}>
      <p>Requests are kept for three days. This one may have expired, or the address is not whole.</p>
    </Empty>
  );
}

export function TraceView() {
  const { id } = useParams({ from: '/traces/$id' });
  const { at } = useSearchState();
  const query = useTrace(id, at);
  if (query.data && query.data.spans.length > 0) return <Whole key={id} id={id} trace={query.data} />;
  const { error } = query;
  if (error instanceof ApiError && error.code === 'not_found') return <NoTrace />;
  if (error) return <Failure error={error} retry={() => void query.refetch()} what="The trace" />;
  return <TraceSkeleton />;
}
