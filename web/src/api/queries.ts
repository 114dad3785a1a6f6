// Queries with the page's rules: old data stays until new arrives, live views ask again by themselves, and an
// error that the person caused (a wrong filter) is not retried.
import { keepPreviousData, QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { rangeKey, refreshMs, windowOf, type Range } from '../state/range';
import { ApiError } from './http';
import { fetchAgents, fetchHistogram, fetchMap, fetchMapDetail, fetchRequest, fetchTags, fetchTagValues } from './calls';

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
