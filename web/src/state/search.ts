// What the address line holds. Every view reads and writes this and nothing else, so a copied address shows the
// same thing to a colleague. Times are unix seconds; a range is live exactly when it has no end.

export const LASTS = { '5m': 300, '15m': 900, '1h': 3600, '6h': 21_600, '24h': 86_400, '7d': 604_800 } as const;
export type Last = keyof typeof LASTS;

/** Shared by all pages. */
export interface SharedSearch {
  last?: Last;
  from?: number;
  to?: number;
  filter?: string;
}

export interface MapSearch extends SharedSearch {
  group_by?: string;
  /** A node is selected by `server` alone, an edge by both. */
  client?: string;
  server?: string;
  /** The folded card whose members the drawer lists. */
  folded?: string;
  /** The drawer with the slowest and the failed traces is open. */
  worst?: 'yes';
}

export type Order = 'time' | 'latency';

export interface RequestsSearch extends SharedSearch {
  order?: Order;
  columns?: string;
  widths?: string;
  request?: string;
  /** Start of the selected request in µs, which the server needs to find it. */
  at?: number;
}

const SHOWS = ['slowest', 'failed', 'newest'] as const;
export type Show = (typeof SHOWS)[number];

export interface TracesSearch extends SharedSearch {
  show?: Show;
  /** The drawer that compares the slow or the failed requests with the others is open. */
  compare?: 'slow' | 'failed';
  /** From where on a request is slow, in µs. */
  slow?: number;
}

export interface TraceSearch extends SharedSearch {
  /** Start of the request in µs, which makes the look-up quick. */
  at?: number;
  /** The span whose drawer is open. */
  span?: string;
  /** What is searched for in the trace. */
  find?: string;
}

type Raw = Record<string, unknown>;

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

function number(value: unknown): number | undefined {
  const parsed = typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : NaN;
  return Number.isFinite(parsed) ? parsed : undefined;
}

/** Absent keys stay absent, which keeps addresses short. */
function compact<T extends object>(search: T): T {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as T;
}

export function readShared(raw: Raw): SharedSearch {
  const last = text(raw['last']);
  return compact({
    last: last && last in LASTS ? (last as Last) : undefined,
    from: number(raw['from']),
    to: number(raw['to']),
    filter: text(raw['filter']),
  }) as SharedSearch;
}

export const readMap = (raw: Raw): MapSearch =>
  compact({
    ...readShared(raw),
    group_by: text(raw['group_by']), client: text(raw['client']), server: text(raw['server']), folded: text(raw['folded']),
    worst: raw['worst'] === 'yes' ? 'yes' : undefined,
  }) as MapSearch;

export const readRequests = (raw: Raw): RequestsSearch =>
  compact({
    ...readShared(raw),
    order: raw['order'] === 'latency' ? 'latency' : undefined,
    columns: text(raw['columns']), widths: text(raw['widths']), request: text(raw['request']), at: number(raw['at']),
  }) as RequestsSearch;

export function readTraces(raw: Raw): TracesSearch {
  const show = SHOWS.find((s) => s === raw['show'] && s !== 'slowest');
  const compare = (['slow', 'failed'] as const).find((c) => c === raw['compare']);
  return compact({ ...readShared(raw), show, compare, slow: number(raw['slow']) }) as TracesSearch;
}

export const readTrace = (raw: Raw): TraceSearch =>
  compact({ ...readShared(raw), at: number(raw['at']), span: text(raw['span']), find: text(raw['find']) }) as TraceSearch;

/** What a link to another page carries over. */
export const sharedOf = ({ last, from, to, filter }: SharedSearch): SharedSearch => compact({ last, from, to, filter }) as SharedSearch;

// Plain `key=value` pairs instead of the router's JSON, so that people can read and write addresses by hand.
export const parseSearch = (query: string): Raw => Object.fromEntries(new URLSearchParams(query));

export function stringifySearch(search: Raw): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) if (value !== undefined && value !== '') params.set(key, String(value));
  const query = params.toString();
  return query ? `?${query}` : '';
}
