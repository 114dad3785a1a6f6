// Every request, newest first: when, between whom, what, how it ended, how long it took.
import { useCallback, useEffect, useState } from 'react';
import { useHistogram } from '../../api/queries';
import type { RequestRow } from '../../api/types';
import { Failure, SkeletonRows } from '../../components/states/States';
import { NoTraffic } from '../../components/states/NoTraffic';
import { usePopoverOpen } from '../../components/Popover';
import { useKeys } from '../../state/keys';
import { LAST_NAMES, rangeName } from '../../state/range';
import { usePatch, useRange, useSearchState } from '../../state/useUrl';
import { ColumnsMenu } from './ColumnsMenu';
import { HistogramPanel } from './HistogramPanel';
import { RequestDrawer } from './RequestDrawer';
import { RequestTable } from './RequestTable';
import { usePointing } from './usePointing';
import { useRows } from './useRows';
import './requests.css';

const BUCKETS = 90;
/** Used for marking slow rows until the server has said where slow begins. */
const SLOW_US = 100_000;

function useTitle(): void {
  const { range } = useRange();
  const filter = useSearchState().filter;
  const time = range.to === undefined ? LAST_NAMES[range.last].toLowerCase() : rangeName(range);
  useEffect(() => {
    document.title = `Requests · ${filter ? `${filter} · ` : ''}${time} · Hadal`;
  }, [filter, time]);
}

/** The row that `j` and `k` move, and the one whose drawer is open, are the same once a drawer is open. */
function useCursor(rows: RequestRow[]) {
  const search = useSearchState();
  const patch = usePatch();
  const [active, setActive] = useState<string | null>(null);
  const current = search.request ?? active;
  const open = useCallback((row: RequestRow, replace = false) => {
    setActive(row._id);
    patch({ request: row._id, at: row.start_time_us }, { replace });
  }, [patch]);
  const step = (by: 1 | -1): void => {
    const at = rows.findIndex((r) => r._id === current);
    const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))];
    if (!next) return;
    if (search.request !== undefined) open(next, true);
    else setActive(next._id);
  };
  useKeys({
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    Enter: () => {
      const row = rows.find((r) => r._id === current);
      if (row) open(row);
    },
  });
  const close = useCallback(() => patch({ request: undefined, at: undefined }), [patch]);
  return { current, open, close };
}

function OrderChoice() {
  const order = useSearchState().order ?? 'time';
  const patch = usePatch();
  return (
    <div className="segments" role="group" aria-label="Order">
      <button aria-pressed={order === 'time'} onClick={() => patch({ order: undefined })}>Newest first</button>
      <button aria-pressed={order === 'latency'} onClick={() => patch({ order: 'latency' })}>Slowest first</button>
    </div>
  );
}

export function RequestsView() {
  const search = useSearchState();
  const { range } = useRange();
  const scope = { range, filter: search.filter ?? '' };
  const [scrolled, setScrolled] = useState(false);
  const [pointing, onPointerMove] = usePointing();
  const popover = usePopoverOpen();
  const hold = scrolled || pointing || popover || search.request !== undefined;
  const { pages, rows, waiting, more, takeNew } = useRows(scope, search.order ?? 'time', hold);
  const histogram = useHistogram(scope, BUCKETS);
  const slowUs = histogram.data?.slow_us ?? SLOW_US;
  const cursor = useCursor(rows);
  useTitle();
  const body = pages.error && rows.length === 0 ? <Failure error={pages.error} retry={() => void pages.refetch()} what="The requests" />
    : pages.isPending ? <div className="table-skeleton"><SkeletonRows rows={14} /></div>
      : rows.length === 0 ? <NoTraffic what="requests" />
        : <RequestTable rows={rows} slowUs={slowUs} current={cursor.current} open={cursor.open} stale={pages.isPlaceholderData} onPointerMove={onPointerMove} onScrolled={setScrolled} waiting={pointing && !scrolled ? 0 : waiting} more={more} takeNew={takeNew}
            loadOlder={pages.hasNextPage && !pages.isFetchingNextPage ? () => void pages.fetchNextPage() : null} loadingOlder={pages.isFetchingNextPage} />;
  return (
    <div className="requests-view">
      <div className="requests-main">
        <HistogramPanel query={histogram} />
        <div className="toolbar requests-toolbar">
          <OrderChoice />
          <span className="grow" />
          <ColumnsMenu />
        </div>
        {body}
      </div>
      {search.request !== undefined && <RequestDrawer id={search.request} at={search.at ?? 0} slowUs={slowUs} close={cursor.close} />}
    </div>
  );
}
