// Reading and changing the address line from anywhere below the router.
import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useCallback } from 'react';
import { isLive, rangeOf, type Range } from './range';
import type { MapSearch, RequestsSearch, SharedSearch, TraceSearch, TracesSearch } from './search';

export type AnySearch = MapSearch & RequestsSearch & TracesSearch & TraceSearch;

export function useSearchState(): AnySearch {
  return useRouterState({ select: (state) => state.location.search as AnySearch, structuralSharing: true });
}

/** Whether the page is a single trace, which no range or filter narrows. */
export const useIsTrace = (): boolean => useRouterState({ select: (state) => /^\/traces\/./.test(state.location.pathname) });

/** Merges a change into the search of the current page; `undefined` removes a key. */
export function usePatch(): (patch: Partial<AnySearch>, options?: { replace?: boolean }) => void {
  const navigate = useNavigate();
  return useCallback(
    (patch, options) => {
      const search = (previous: object): object => ({ ...previous, ...patch });
      // The router types searches per route; this hook serves all of them, each of which validates what it gets.
      void navigate({ to: '.', search: search as never, replace: options?.replace ?? false });
    },
    [navigate],
  );
}

export interface RangeControl {
  range: Range;
  live: boolean;
  setRange: (search: SharedSearch) => void;
}

export function useRange(): RangeControl {
  const search = useSearchState();
  const patch = usePatch();
  const setRange = useCallback(
    ({ last, from, to }: SharedSearch) => patch({ last, from, to }),
    [patch],
  );
  const range = rangeOf(search);
  return { range, live: isLive(range), setRange };
}
