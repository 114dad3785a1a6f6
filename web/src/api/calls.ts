// One function per endpoint, named after what it answers.
import { get, type Params } from './http';
import type { Agents, Comparison, EntryEndpoint, Histogram, MapDetail, RequestDetail, RequestPage, ServiceMap, Tag, TagValue, Trace, TracePage } from './types';

/** Unix seconds. */
export interface Window {
  from: number;
  to: number;
}

/** Ends without the tag that a map is grouped by have an empty name, which neither a card nor an address can show. */
export const NO_NAME = '(none)';
const shown = (name: string): string => (name === '' ? NO_NAME : name);
export const named = (name: string): string => (name === NO_NAME ? '' : name);

interface Scope extends Window {
  filter: string;
}

const scopeParams = ({ from, to, filter }: Scope): Params => ({ from, to, filter: filter || undefined });

/** Rows of the last moment may still be on their way to the server. */
const LAG_S = 2;

/** How many buckets of a series are over. A rate that is still being counted would end every live chart in a fall. */
export function overBy(to: number, starts: number[], step: number, now = Date.now() / 1000): number {
  const end = Math.min(to, now - LAG_S);
  const over = starts.filter((start) => start + step <= end).length;
  // A short range shows what it has.
  return over > 1 ? over : starts.length;
}

export async function fetchMap(p: Scope & { groupBy: string }, signal?: AbortSignal): Promise<ServiceMap> {
  const map = await get<ServiceMap>('/v1/map', { ...scopeParams(p), group_by: p.groupBy }, signal);
  const starts = Array.from({ length: map.nodes[0]?.sparkline.length ?? 0 }, (_, i) => map.from + i * map.step_s);
  const over = overBy(p.to, starts, map.step_s);
  const nodes = map.nodes.map((n) => ({ ...n, id: shown(n.id), name: shown(n.id), sparkline: n.sparkline.slice(0, over) }));
  const edges = map.edges.map((e) => ({ ...e, client: shown(e.client), server: shown(e.server) }));
  return { ...map, nodes, edges };
}

export async function fetchMapDetail(p: Scope & { groupBy: string; client?: string; server?: string }, signal?: AbortSignal): Promise<MapDetail> {
  const side = (name: string | undefined): string | undefined => (name === undefined ? undefined : named(name));
  const params = { ...scopeParams(p), group_by: p.groupBy, client: side(p.client), server: side(p.server) };
  const detail = await get<MapDetail>('/v1/map/detail', params, signal);
  const peers = (list: MapDetail['callers']): MapDetail['callers'] => list.map((peer) => ({ ...peer, name: shown(peer.name) }));
  const starts = detail.series.map((point) => point.time);
  const series = detail.series.slice(0, overBy(p.to, starts, (starts[1] ?? 0) - (starts[0] ?? 0)));
  // Connections without a request are no endpoint.
  const endpoints = detail.endpoints.filter((e) => e.requests > 0);
  return { ...detail, series, endpoints, callers: peers(detail.callers), callees: peers(detail.callees) };
}

export const fetchRequests = (
  p: Scope & { limit: number; order: string; cursor: string | null },
  signal?: AbortSignal,
) =>
  get<RequestPage>(
    '/v1/requests',
    { ...scopeParams(p), limit: p.limit, order: p.order, cursor: p.cursor },
    signal,
  );

export const fetchRequestsAfter = (p: { after: string; filter: string; limit: number }, signal?: AbortSignal) =>
  get<RequestPage>('/v1/requests', { after: p.after, filter: p.filter || undefined, limit: p.limit }, signal);

export const fetchHistogram = (p: Scope & { buckets: number }, signal?: AbortSignal) =>
  get<Histogram>('/v1/requests/histogram', { ...scopeParams(p), buckets: p.buckets }, signal);

export const fetchRequest = (id: string, startTimeUs: number, signal?: AbortSignal) =>
  get<RequestDetail>(`/v1/requests/${encodeURIComponent(id)}`, { time: startTimeUs }, signal);

export const fetchTrace = (id: string, startTimeUs: number | undefined, signal?: AbortSignal) =>
  get<Trace>(`/v1/trace/${encodeURIComponent(id)}`, { time: startTimeUs }, signal);

export const fetchTraces = (p: Scope & { show: string; limit: number; cursor: string | null }, signal?: AbortSignal) =>
  get<TracePage>('/v1/traces', { ...scopeParams(p), show: p.show, limit: p.limit, cursor: p.cursor }, signal);

export const fetchEntryEndpoints = (p: Scope, signal?: AbortSignal) => get<{ endpoints: EntryEndpoint[] }>('/v1/traces/endpoints', scopeParams(p), signal);

export const fetchComparison = (p: Scope & { of: string; slowUs: number | undefined }, signal?: AbortSignal) =>
  get<Comparison>('/v1/traces/compare', { ...scopeParams(p), of: p.of, slow_us: p.slowUs }, signal);

export const fetchTags = (signal?: AbortSignal) => get<{ tags: Tag[] }>('/v1/tags', {}, signal);

export const fetchTagValues = (p: Window & { name: string; prefix: string; limit: number }, signal?: AbortSignal) =>
  get<{ values: TagValue[] }>(
    `/v1/tags/${encodeURIComponent(p.name)}/values`,
    { prefix: p.prefix || undefined, from: p.from, to: p.to, limit: p.limit },
    signal,
  );

/** Losses are those of the range. */
export const fetchAgents = ({ from, to }: Window, signal?: AbortSignal) => get<Agents>('/v1/agents', { from, to }, signal);
