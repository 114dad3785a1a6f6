// Live tail as a state machine: rows that arrive are shown at once, or wait while a person reads further down.
import type { RequestPage, RequestRow } from '../../api/types';

export interface Tail {
  /** Cursor of the newest row known; null until the first page has been read. */
  newest: string | null;
  shown: RequestRow[];
  waiting: RequestRow[];
  /** An answer that was full: rows between it and those shown are missing, so the table starts anew from it. */
  gap: RequestPage | null;
}

export const EMPTY_TAIL: Tail = { newest: null, shown: [], waiting: [], gap: null };

/** Rows kept from the tail: older ones are read again by cursor when someone scrolls that far. */
export const TAIL_MAX = 4000;

export function received(tail: Tail, page: RequestPage, hold: boolean, limit: number): Tail {
  if (page.rows.length === 0) return { ...tail, newest: page.newest ?? tail.newest };
  const gap = page.rows.length >= limit ? page : tail.gap;
  const waiting = [...page.rows, ...tail.waiting].slice(0, TAIL_MAX);
  const next = { ...tail, newest: page.newest, waiting, gap };
  return hold || gap ? next : released(next);
}

export function released(tail: Tail): Tail {
  if (tail.waiting.length === 0) return tail;
  return { ...tail, shown: [...tail.waiting, ...tail.shown].slice(0, TAIL_MAX), waiting: [] };
}

/** The server's order: by end, then by id, which is a number of up to twenty digits. */
const newerFirst = (a: RequestRow, b: RequestRow): number =>
  b.end_time_us - a.end_time_us || b._id.length - a._id.length || (a._id < b._id ? 1 : a._id > b._id ? -1 : 0);

/** A row can come from both sources and is shown once; one that reached the server late stands where it belongs. */
export function merged(fromTail: RequestRow[], fromPages: RequestRow[]): RequestRow[] {
  if (fromTail.length === 0) return fromPages;
  const rows = [...new Map([...fromTail, ...fromPages].map((row) => [row._id, row])).values()];
  return rows.sort(newerFirst);
}
