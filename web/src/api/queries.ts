// Queries with the page's rules: old data stays until new arrives, live views ask again by themselves, and an
// error that the person caused (a wrong filter) is not retried.
import { keepPreviousData, QueryClient, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { isLive, rangeKey, refreshMs, windowOf, type Range } from '../state/range';
import type { Show } from '../state/search';
import { ApiError } from './http';
import { fetchAgents, fetchComparison, fetchEntryEndpoints, fetchHistogram, fetchMap, fetchMapDetail, fetchRequest, fetchTags, fetchTagValues, fetchTrace, fetchTraces } from './calls';

const retry = (failures: number, error: Error): boolean =>
  failures < 2 && !(error instanceof ApiError && ['invalid_filter', 'invalid_argument', 'not_found'].includes(error.code));

export const queryClient = new QueryClient({
  defaultOptions: { queries: { retry, retryDelay: 800, staleTime: 4000, refetchOnWindowFocus: false } },
});

export interface ViewScope {
  range: Range;
  filter: string;
}

export const useMap = ({ range, filter }: ViewScope, groupBy: string) =>
  useQuery({
    queryKey: ['map', rangeKey(range), filter, groupBy],
    queryFn: ({ signal }) => fetchMap({ ...windowOf(range), filter, groupBy }, signal),
    refetchInterval: refreshMs(range),
    placeholderData: keepPreviousData,
  });

export interface Selection {
  client?: string;
  server?: string;
}

export const useMapDetail = ({ range, filter }: ViewScope, groupBy: string, selection: Selection) =>
  useQuery({
    queryKey: ['map-detail', rangeKey(range), filter, groupBy, selection.client ?? '', selection.server ?? ''],
    queryFn: ({ signal }) => fetchMapDetail({ ...windowOf(range), filter, groupBy, ...selection }, signal),
    refetchInterval: refreshMs(range),
  });

export const useHistogram = ({ range, filter }: ViewScope, buckets: number) =>
  useQuery({
    queryKey: ['histogram', rangeKey(range), filter, buckets],
    queryFn: ({ signal }) => fetchHistogram({ ...windowOf(range), filter, buckets }, signal),
    refetchInterval: refreshMs(range),
    placeholderData: keepPreviousData,
  });

/** A request does not change any more once it is stored. */
export const useRequest = (id: string, at: number) =>
  useQuery({
    queryKey: ['request', id, at],
    queryFn: ({ signal }) => fetchRequest(id, at, signal),
    staleTime: Infinity,
  });

/** Rows of a trace may arrive for some seconds after its end, so one that is fresh is asked for again. */
const SETTLED_S = 15;
const AGAIN_MS = 4000;

export const useTrace = (id: string, at: number | undefined) =>
  useQuery({
    queryKey: ['trace', id],
    queryFn: ({ signal }) => fetchTrace(id, at, signal),
    staleTime: Infinity,
    refetchInterval: ({ state: { data } }) => {
      const end = Math.max(0, ...(data?.spans.map((s) => s.row.end_time_us) ?? [0])) / 1e6;
      return data && Date.now() / 1000 - end < SETTLED_S ? AGAIN_MS : false;
    },
  });

export const useTraces = ({ range, filter }: ViewScope, show: Show, limit: number) =>
  useInfiniteQuery({
    queryKey: ['traces', rangeKey(range), filter, show, limit],
    queryFn: ({ pageParam, signal }) => fetchTraces({ ...windowOf(range), filter, show, limit, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    // Whoever reads further down must not lose the place.
    refetchInterval: ({ state: { data } }) => (isLive(range) && (data?.pages.length ?? 0) <= 1 ? refreshMs(range) : false),
    placeholderData: keepPreviousData,
  });

export const useEntryEndpoints = ({ range, filter }: ViewScope) =>
  useQuery({
    queryKey: ['entry-endpoints', rangeKey(range), filter],
    queryFn: ({ signal }) => fetchEntryEndpoints({ ...windowOf(range), filter }, signal),
    refetchInterval: refreshMs(range),
    placeholderData: keepPreviousData,
    select: (d) => d.endpoints,
  });

/** Not asked again by itself: the answer takes the server a moment, and does not change from one second to the next. */
export const useComparison = ({ range, filter }: ViewScope, of: string, slowUs: number | undefined) =>
  useQuery({
    queryKey: ['comparison', rangeKey(range), filter, of, slowUs ?? 0],
    queryFn: ({ signal }) => fetchComparison({ ...windowOf(range), filter, of, slowUs }, signal),
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });

export const useTags = () =>
  useQuery({ queryKey: ['tags'], queryFn: ({ signal }) => fetchTags(signal), staleTime: 300_000, select: (d) => d.tags });

export const useTagValues = (range: Range, name: string, prefix: string, enabled: boolean) =>
  useQuery({
    queryKey: ['tag-values', name, prefix, rangeKey(range)],
    queryFn: ({ signal }) => fetchTagValues({ ...windowOf(range), name, prefix, limit: 20 }, signal),
    enabled,
    staleTime: 20_000,
    placeholderData: keepPreviousData,
    select: (d) => d.values,
  });

export const useAgents = (range: Range) =>
  useQuery({
    queryKey: ['agents', rangeKey(range)],
    queryFn: ({ signal }) => fetchAgents(windowOf(range), signal),
    refetchInterval: refreshMs(range),
    placeholderData: keepPreviousData,
  });

/** The server's complaint about the filter line, whichever of the page's queries it answered with it. */
export function useFilterError(filter: string): ApiError | null {
  const cache = useQueryClient().getQueryCache();
  const find = (): ApiError | null => {
    // Only of what is on the screen: a filter that the map cannot apply may be right for requests.
    const errors = cache.findAll({ type: 'active' }).map((query) => query.state.error);
    const mine = (e: Error | null): boolean => e instanceof ApiError && e.code === 'invalid_filter' && e.filter === filter;
    return (errors.find(mine) as ApiError | undefined) ?? null;
  };
  return useSyncExternalStore((listener) => cache.subscribe(listener), find);
}
