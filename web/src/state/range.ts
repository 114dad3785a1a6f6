// The time range: `last` alone follows the present, `last` with `to` is that length ending in the past, and
// `from` with `to` is absolute. Every change of it is a new entry in the browser's history, so back undoes it.
import type { Window } from '../api/calls';
import { span } from '../format/time';
import { LASTS, type Last, type SharedSearch } from './search';

export const DEFAULT_LAST: Last = '15m';

export interface Range {
  last: Last;
  from?: number;
  to?: number;
}

export function rangeOf(search: SharedSearch): Range {
  const last = search.last ?? DEFAULT_LAST;
  if (search.to === undefined) return { last };
  if (search.from !== undefined && search.from < search.to) return { last, from: search.from, to: search.to };
  return { last, to: search.to };
}

export const isLive = (range: Range): boolean => range.to === undefined;

export function windowOf(range: Range, now = Date.now() / 1000): Window {
  const to = range.to ?? now;
  return { from: range.from ?? to - LASTS[range.last], to };
}

/** Identifies a range in query keys: it must not change while a live range moves on. */
export const rangeKey = (range: Range): string => `${range.last}/${range.from ?? ''}/${range.to ?? ''}`;

export const LAST_NAMES: Record<Last, string> = {
  '5m': 'Last 5 min', '15m': 'Last 15 min', '1h': 'Last hour', '6h': 'Last 6 hours', '24h': 'Last 24 hours', '7d': 'Last 7 days',
};

export function rangeName(range: Range): string {
  if (isLive(range)) return LAST_NAMES[range.last];
  const { from, to } = windowOf(range);
  return span(from, to);
}

/** For use within a sentence. */
export const rangeWords = (range: Range): string => (isLive(range) ? `the ${LAST_NAMES[range.last].toLowerCase()}` : rangeName(range));

/** How often a live view asks again: a week does not change in five seconds. */
export function refreshMs(range: Range): number | false {
  if (!isLive(range)) return false;
  const seconds = LASTS[range.last];
  return seconds <= 3600 ? 5000 : seconds <= 21_600 ? 15_000 : 60_000;
}

const whole = (n: number): number => Math.round(n * 1000) / 1000;

/** Half a range back or forth; moving into the future becomes live again. */
export function shifted(range: Range, direction: -1 | 1, now = Date.now() / 1000): SharedSearch {
  const { from, to } = windowOf(range, now);
  const by = ((to - from) / 2) * direction;
  if (to + by >= now) return { last: range.last };
  return range.from === undefined
    ? { last: range.last, to: Math.round(to + by) }
    : { last: range.last, from: whole(from + by), to: whole(to + by) };
}

export function paused(range: Range, now = Date.now() / 1000): SharedSearch {
  return { last: range.last, to: Math.round(now) };
}

export const zoomed = (range: Range, from: number, to: number): SharedSearch => ({ last: range.last, from: whole(from), to: whole(to) });
