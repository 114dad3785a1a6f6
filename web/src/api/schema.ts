// @generated from openapi.json by `npm run generate`. Do not edit.

export interface AgentLine {
  agent: string;
  capabilities: CapabilityLine[];
  capture_level: string;
  /** Share of one core. */
  cpu_ratio: number;
  events_rate: number;
  host: string;
  kernel: string;
  kernel_cpu_ratio: number;
  last_seen_s: number;
  loss: CauseLine[];
  requests_rate: number;
  rss_bytes: number;
  shedding: string;
  /** `running` or `lost`. */
  state: string;
  version: string;
}

export interface AgentsAnswer {
  agents: AgentLine[];
  server: ServerLine;
}

/** Why a call failed. */
export interface ApiError {
  /** `invalid_filter`, `invalid_argument`, `not_found`, `unavailable` or `internal`. */
  code: string;
  length?: number | null;
  message: string;
  /** Where in the filter, in characters. */
  position?: number | null;
  suggestion?: string | null;
}

export interface CapabilityLine {
  name: string;
  /** `ok`, `degraded` or `missing`. */
  state: string;
  what_to_do: string;
  why: string;
}

export interface CauseLine {
  cause: string;
  count: number;
  description: string;
}

export interface ColumnSchema {
  name: string;
  type: string;
}

export interface CompareAnswer {
  /** Requests that are slow (or failed), and the others, among those that were looked at. */
  chosen: number;
  /** Values that more of the chosen requests have, the most telling first. */
  differences: Difference[];
  /** One in how many requests was looked at. */
  one_in: number;
  rest: number;
  /** From where on a request is slow, in microseconds. */
  slow_us: number;
}

export interface DetailAnswer {
  callees: Line[];
  callers: Line[];
  endpoints: Line[];
  instances: Instance[];
  series: Point[];
}

/** A value that more of the chosen requests have than of the others. */
export interface Difference {
  /** Values of other attributes that as many have, and that so are probably the same requests. */
  along: string[];
  /** Chosen requests that have the value, of `chosen_total`. */
  chosen: number;
  chosen_total: number;
  /** Key of the filter line; empty if it has none. */
  key: string;
  /** Name of the attribute. */
  name: string;
  /** Other requests that have it, of `rest_total`. */
  rest: number;
  rest_total: number;
  value: string;
}

/** Calls from one node to another. */
export interface Edge {
  bytes_rate: number;
  client: string;
  client_errors: number;
  connections: number;
  error_ratio: number;
  errors: number;
  id: string;
  observation_point: string;
  p50_us?: number | null;
  p99_us?: number | null;
  protocols: string[];
  request_rate: number;
  requests: number;
  server: string;
  server_errors: number;
  sparkline: number[];
  timeouts: number;
}

export interface EndpointsAnswer {
  /** Those with the most requests first. */
  endpoints: EntryLine[];
}

/** Requests from outside to one endpoint. */
export interface EntryLine {
  endpoint: string;
  failed: number;
  /** Median of the response times, in microseconds. */
  p50_us?: number | null;
  p99_us?: number | null;
  protocol: string;
  requests: number;
  service: string;
}

export interface ErrorBody {
  error: ApiError;
}

/** The connection during the request. */
export interface Flow {
  retransmissions: number;
  rtt_us?: number | null;
}

/** How complete the data is. */
export interface Health {
  agents: number;
  loss: LossLine[];
  lost: number;
}

export interface HistogramAnswer {
  buckets: Record<string, unknown>[];
  slow_us: number;
  step_s: number;
}

/** One member of a node. */
export interface Instance {
  auto_instance: string;
  container_id: string;
  entity: string;
  host: string;
  process_name: string;
}

/** Figures of one endpoint, caller or callee. */
export interface Line {
  endpoint: string;
  error_ratio: number;
  name: string;
  p50_us?: number | null;
  p99_us?: number | null;
  protocol: string;
  request_rate: number;
  requests: number;
}

export interface ListAnswer {
  /** Cursor of the newest row, for the live tail. */
  newest?: string | null;
  /** Cursor of the next page. */
  next?: string | null;
  /** Rows of the log. */
  rows: Record<string, unknown>[];
}

export interface LossLine {
  agent: string;
  cause: string;
  count: number;
}

export interface MapAnswer {
  edges: Edge[];
  from: number;
  health: Health;
  nodes: Node[];
  step_s: number;
  to: number;
}

/** A service, or whatever entities are grouped by. */
export interface Node {
  error_ratio: number;
  errors: number;
  id: string;
  /** `client`, `proxy`, `service`, `store` or `world`. */
  kind: string;
  /** Entity ids. */
  members: string[];
  name: string;
  p50_us?: number | null;
  p99_us?: number | null;
  protocols: string[];
  request_rate: number;
  requests: number;
  /** Requests per second, by bucket. */
  sparkline: number[];
  tags: Record<string, string>;
}

/** The call as one observation point saw it. */
export interface Observation {
  _id: string;
  observation_point: string;
  response_duration_us?: number | null;
  start_time_us: number;
}

export interface OneAnswer {
  client_tags: Record<string, string>;
  flow: Flow;
  /** The same call seen at all points, in path order. */
  observations: Observation[];
  /** Every column. */
  row: Record<string, unknown>;
  server_tags: Record<string, string>;
}

/** A share of the trace's time. */
export interface Part {
  /** How many calls it is the sum of. */
  calls: number;
  /** Whether it is the time of the trace's first server itself. */
  is_entry: boolean;
  kind: PartKind;
  /** Service that the time was spent in, or waited for. */
  service: string;
  /** `id` of the span with the largest share. */
  span_id: string;
  /** Microseconds of the critical path. */
  time_us: number;
  /** Method and endpoint. */
  what: string;
}

/** How the trace spent a time. */
export type PartKind = "own" | "waiting" | "network" | "no_answer";

/** Rates and latencies of one time bucket. */
export interface Point {
  error_rate: number;
  p50_us?: number | null;
  p99_us?: number | null;
  request_rate: number;
  time: number;
}

/** The answer, in DeepFlow's form. */
export interface QueryAnswer {
  /** What went wrong. */
  DESCRIPTION: string;
  /** `SUCCESS`, `INVALID_POST_DATA`, `INVALID_SQL`, `FORBIDDEN`, `LIMIT_EXCEEDED` or `SERVER_ERROR`. */
  OPT_STATUS: string;
  result?: QueryResult | null;
}

/** The question; as JSON or as form fields. */
export interface QueryBody {
  /** Database in which names without one are looked up. */
  db?: string;
  /** One statement: SELECT, SHOW, DESCRIBE or EXPLAIN. */
  sql?: string;
}

export interface QueryResult {
  columns: string[];
  schemas: ColumnSchema[];
  values: Record<string, unknown>[][];
}

export interface ServerLine {
  data_bytes: number;
  entities: number;
  failed_inserts: number;
  inserts: number;
  rows: number;
  rows_rate: number;
  started_s: number;
  store: string;
  store_version: string;
  version: string;
}

export interface TagLine {
  description: string;
  /** `string`, `number`, `duration` or `enum`. */
  kind: string;
  name: string;
  /** Whether it may end in `_0` (client) or `_1` (server). */
  two_sided: boolean;
  /** All values, of an enum. */
  values?: string[] | null;
}

export interface TagsAnswer {
  tags: TagLine[];
}

export interface TraceAnswer {
  /** Calls that the same processes made meanwhile and that have no sure parent, at most 100 of them. */
  orphans: TraceSpan[];
  /** How many of those there are. */
  orphans_found: number;
  /** What took it, the largest share first; together they are the total. */
  parts: Part[];
  /** What took the time, and what failed. */
  sentence: string;
  /** Parents come before their children; else by start. */
  spans: TraceSpan[];
  /** Time from the first byte to the last, in microseconds. */
  total_us: number;
  /** Something may be missing: too many spans, or no time to look for more. */
  truncated: boolean;
}

/** One row of the log in its place. */
export interface TraceSpan {
  /** Rows of one call, seen at several points of its path, have the same number. */
  call: number;
  /** How surely, from 0 to 1. */
  confidence?: number | null;
  /** Stretches of the critical path, on which nothing else was waited for: pairs of start and end, in microseconds of the same clock. */
  critical: number[][];
  /** Why it is the parent: `same_call`, `span_id`, `trace_id`, `x_request_id`, `same_task`, `task_context`, `answer_context`, `response_context`, `joined_context` or `pattern`. */
  evidence?: string | null;
  id: string;
  /** Of the client's end of a call: how much longer it took there than at the server's end. */
  network_us?: number | null;
  /** `id` of the parent, `null` of a root. */
  parent_id?: string | null;
  /** Columns of the row. */
  row: Record<string, unknown>;
  /** Time in which no child was open. */
  self_us: number;
  /** Start in microseconds, by a clock that is the same for all spans of the trace. */
  start_us: number;
  /** Time in which a child was open. */
  waiting_us: number;
}

export interface TracesAnswer {
  /** Cursor of the next page. */
  next?: string | null;
  /** Rows of the log, as in `/v1/requests`. */
  rows: Record<string, unknown>[];
  /** A successful request above this is shown as slow, in microseconds. */
  slow_us: number;
}

export interface ValueLine {
  /** Requests that have it. */
  count: number;
  value: string;
}

export interface ValuesAnswer {
  values: ValueLine[];
}
