// The table's rows: pages of older ones by cursor, and newer ones by polling while live.
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { fetchRequests, fetchRequestsAfter } from '../../api/calls';
import type { ViewScope } from '../../api/queries';
import { isLive, rangeKey, windowOf } from '../../state/range';
import type { Order } from '../../state/search';
import { EMPTY_TAIL, merged, received, released, type Tail } from './tail';

const PAGE = 200;
const TAIL_MS = 2000;

/** Reads a lone first page again while there is no row to tail from, or where rank and not time decides. */
const AGAIN_MS = 4000;

function usePages({ range, filter }: ViewScope, order: Order) {
  return useInfiniteQuery({
    queryKey: ['requests', rangeKey(range), filter, order],
    queryFn: ({ pageParam, signal }) => fetchRequests({ ...windowOf(range), filter, limit: PAGE, order, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    refetchInterval: ({ state: { data } }) => {
      const again = data?.pages.length === 1 && (data.pages[0]?.rows.length === 0 || order === 'latency');
      return isLive(range) && again ? AGAIN_MS : false;
    },
    // Newer rows come through the tail, and older ones do not change.
    staleTime: Infinity,
    gcTime: 0,
    placeholderData: keepPreviousData,
  });
}

function useTail(scope: ViewScope, first: string | null, active: boolean, hold: boolean): [Tail, () => void] {
  const key = `${rangeKey(scope.range)}/${scope.filter}/${first}`;
  const [state, setState] = useState({ key, tail: EMPTY_TAIL });
  const tail = state.key === key ? state.tail : { ...EMPTY_TAIL, newest: first };
  const newest = tail.newest ?? first;
  const poll = useQuery({
    queryKey: ['tail', key],
    queryFn: ({ signal }) => fetchRequestsAfter({ after: newest ?? '', filter: scope.filter, limit: PAGE }, signal),
    enabled: active && newest !== null,
    refetchInterval: TAIL_MS,
    gcTime: 0,
    staleTime: 0,
    structuralSharing: false,
  });
  const page = poll.data;
  useEffect(() => {
    if (page) setState((s) => ({ key, tail: received(s.key === key ? s.tail : { ...EMPTY_TAIL, newest: first }, page, hold, PAGE) }));
    // Each answer is taken once; `hold` is read as it was when the answer came.
  }, [page]); // eslint-disable-line react-hooks/exhaustive-deps
  const release = useCallback(() => setState((s) => (s.key === key ? { key, tail: released(s.tail) } : s)), [key]);
  return [tail, release];
}

export function useRows(scope: ViewScope, order: Order, hold: boolean) {
  const pages = usePages(scope, order);
  const client = useQueryClient();
  const first = pages.isPlaceholderData ? null : (pages.data?.pages[0]?.newest || null);
  const active = isLive(scope.range) && order === 'time';
  const [tail, release] = useTail(scope, first, active, hold);
  const { data } = pages;
  const rows = useMemo(() => merged(tail.shown, data?.pages.flatMap((p) => p.rows) ?? []), [tail.shown, data]);
  const key = useMemo(() => ['requests', rangeKey(scope.range), scope.filter, order], [scope.range, scope.filter, order]);
  const { gap } = tail;
  const takeNew = useCallback(() => {
    if (!gap) return release();
    // The full answer becomes the first page; without a cursor to go on from, everything is read again.
    if (gap.next !== null) client.setQueryData(key, { pages: [gap], pageParams: [null] });
    else void client.invalidateQueries({ queryKey: key });
  }, [gap, release, client, key]);
  // Without a reader further down, a flood of rows simply starts the table anew from the newest.
  useEffect(() => {
    if (!hold && tail.waiting.length > 0) takeNew();
  }, [hold, tail.waiting.length, takeNew]);
  return { pages, rows, waiting: tail.waiting.length, more: gap !== null, takeNew };
}
