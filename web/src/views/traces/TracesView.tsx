// Traces begin with a request from outside: the slowest of them first, or those that failed.
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useEntryEndpoints, useTraces, type ViewScope } from '../../api/queries';
import type { RequestRow } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Empty, Failure, SkeletonRows } from '../../components/states/States';
import { NoTraffic } from '../../components/states/NoTraffic';
import { useKeys } from '../../state/keys';
import { LAST_NAMES, rangeName, rangeWords } from '../../state/range';
import { sharedOf, type Show } from '../../state/search';
import { usePatch, useRange, useSearchState } from '../../state/useUrl';
import { CompareDrawer } from './CompareDrawer';
import { EntryList } from './EntryList';
import { TraceTable } from './TraceTable';
import '../requests/requests.css';
import './traces.css';

const PAGE = 100;
const SHOWS: [Show, string][] = [['slowest', 'Slowest'], ['failed', 'Failed'], ['newest', 'Newest']];

function useTitle(show: Show): void {
  const { range } = useRange();
  const filter = useSearchState().filter;
  const time = range.to === undefined ? LAST_NAMES[range.last].toLowerCase() : rangeName(range);
  useEffect(() => {
    document.title = `${show === 'failed' ? 'Failed traces' : show === 'newest' ? 'Newest traces' : 'Slowest traces'} · ${filter ? `${filter} · ` : ''}${time} · Hadal`;
  }, [show, filter, time]);
}

function useCursor(rows: RequestRow[]) {
  const navigate = useNavigate();
  const search = useSearchState();
  const [current, setCurrent] = useState<string | null>(null);
  const open = (row: RequestRow): void => void navigate({ to: '/traces/$id', params: { id: row._id }, search: { ...sharedOf(search), at: row.start_time_us } });
  const step = (by: 1 | -1): void => {
    const at = rows.findIndex((r) => r._id === current);
    const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))];
    if (next) setCurrent(next._id);
  };
  useKeys({
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    Enter: () => {
      const row = rows.find((r) => r._id === current);
      if (row) open(row);
    },
  });
  return { current, open };
}

function NothingFailed({ scope }: { scope: ViewScope }) {
  const patch = usePatch();
  const { range } = scope;
  // Where nothing happened, nothing failed either, but that is no good news.
  const { data } = useEntryEndpoints(scope);
  if (data?.length === 0) return <NoTraffic what="requests from outside" />;
  return (
    <Empty icon="check" title="Nothing failed" actions={<button className="button" onClick={() => patch({ show: undefined })}><Icon name="clock" /> The slowest instead</button>}>
      <p>No request from outside failed in <b>{rangeWords(range)}</b>. Requests between services are on the page Requests.</p>
    </Empty>
  );
}

function Toolbar({ show }: { show: Show }) {
  const { compare } = useSearchState();
  const patch = usePatch();
  const of = show === 'failed' ? 'failed' : 'slow';
  return (
    <div className="toolbar requests-toolbar">
      <div className="segments" role="group" aria-label="Which traces">
        {SHOWS.map(([id, name]) => <button key={id} aria-pressed={show === id} onClick={() => patch({ show: id === 'slowest' ? undefined : id })}>{name}</button>)}
      </div>
      <span className="grow" />
      <button className="button" aria-pressed={compare !== undefined} data-testid="compare" title="Which clients, instances, codes and sizes are more frequent among them than among the others" onClick={() => patch({ compare: compare === undefined ? of : undefined, slow: undefined })}>
        <Icon name="compare" size={14} /> {of === 'failed' ? 'What do the failed have in common?' : 'What do the slow have in common?'}
      </button>
    </div>
  );
}

export function TracesView() {
  const search = useSearchState();
  const { range } = useRange();
  const scope = { range, filter: search.filter ?? '' };
  const show = search.show ?? 'slowest';
  const query = useTraces(scope, show, PAGE);
  const rows = query.data?.pages.flatMap((p) => p.rows) ?? [];
  const cursor = useCursor(rows);
  useTitle(show);
  const body = query.error && rows.length === 0 ? <Failure error={query.error} retry={() => void query.refetch()} what="The traces" />
    : query.isPending ? <div className="table-skeleton"><SkeletonRows rows={14} /></div>
      : rows.length > 0 ? <TraceTable rows={rows} slowUs={query.data?.pages[0]?.slow_us ?? Infinity} current={cursor.current} open={cursor.open} stale={query.isPlaceholderData} loadMore={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : null} loading={query.isFetchingNextPage} />
        : show === 'failed' && scope.filter === '' ? <NothingFailed scope={scope} /> : <NoTraffic what="requests from outside" />;
  return (
    <div className="traces-view">
      <EntryList scope={scope} />
      <div className="requests-main">
        <Toolbar show={show} />
        {body}
      </div>
      {search.compare !== undefined && <CompareDrawer scope={scope} of={search.compare} />}
    </div>
  );
}
