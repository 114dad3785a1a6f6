// Shapes of the HTTP API as the page uses them: aliases of those of the API's document. Where the document is wider
// than what the server answers, it is narrowed here: words that are one of a few, and rows of requests, which are plain
// objects there. Field suffixes give units: `_us` microseconds, `_s` seconds, `_rate` per second, `_ratio` 0..1, `_bytes`.
// 64-bit ids are strings, since JavaScript numbers cannot hold them.
import type * as schema from './schema';

/** The server writes null rather than leaving a field out. */
type Whole<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

export type NodeKind = 'client' | 'proxy' | 'service' | 'store' | 'world';
export type MapNode = Whole<schema.Node> & { kind: NodeKind };
export type MapEdge = Whole<schema.Edge>;
export type Health = schema.Health;
export type ServiceMap = Omit<schema.MapAnswer, 'nodes' | 'edges'> & { nodes: MapNode[]; edges: MapEdge[] };

export type RedPoint = Whole<schema.Point>;
type Line = Whole<schema.Line>;
export type Peer = Pick<Line, 'name' | 'request_rate' | 'error_ratio' | 'p99_us'>;
export type Endpoint = Omit<Line, 'name'>;
export type Instance = schema.Instance;
export interface MapDetail {
  series: RedPoint[];
  endpoints: Endpoint[];
  callers: Peer[];
  callees: Peer[];
  instances: Instance[];
}

export type Status = 'ok' | 'client_error' | 'server_error' | 'timeout' | 'unknown';

/** Written by hand: the document calls it an object. */
export interface RequestRow {
  _id: string;
  start_time_us: number;
  end_time_us: number;
  /** Null when only one half of the call was seen. */
  response_duration_us: number | null;
  observation_point: string;
  l7_protocol_str: string;
  version: string;
  type: 'session' | 'request' | 'response';
  client: string;
  server: string;
  client_entity_id: string;
  server_entity_id: string;
  request_type: string;
  request_domain: string;
  request_resource: string;
  endpoint: string;
  response_status: Status;
  response_code: number | null;
  response_exception: string;
  is_tls: boolean;
  request_length: number | null;
  response_length: number | null;
  client_ip: string;
  client_port: number;
  server_ip: string;
  server_port: number;
}

/** Both cursors are the server's own business: they go back to it as they came. */
export type RequestPage = Omit<Whole<schema.ListAnswer>, 'rows'> & { rows: RequestRow[] };

export interface HistogramBucket {
  time: number;
  ok: number;
  slow: number;
  client_error: number;
  server_error: number;
  timeout: number;
}
export type Histogram = Omit<schema.HistogramAnswer, 'buckets'> & { buckets: HistogramBucket[] };

export type Observation = Whole<schema.Observation>;
export type RequestDetail = Omit<schema.OneAnswer, 'observations' | 'flow'> & { observations: Observation[]; flow: Whole<schema.Flow> };

export type Tag = Whole<schema.TagLine> & { kind: 'string' | 'number' | 'duration' | 'enum' };
export type TagValue = schema.ValueLine;

export type Capability = schema.CapabilityLine & { state: 'ok' | 'degraded' | 'missing' };
export type Agent = schema.AgentLine & { state: 'running' | 'lost'; capabilities: Capability[] };
export type ServerFigures = schema.ServerLine;
export type Agents = Omit<schema.AgentsAnswer, 'agents'> & { agents: Agent[] };

/** Columns of a trace's row beyond those of a row in the list. */
export interface TraceRow extends RequestRow {
  agent: string;
  process_id_0: number;
  process_id_1: number;
}
export type Evidence = 'same_call' | 'span_id' | 'trace_id' | 'x_request_id' | 'same_task' | 'task_context' | 'answer_context' | 'response_context' | 'joined_context' | 'pattern';
export type TraceSpan = Omit<Whole<schema.TraceSpan>, 'row' | 'evidence' | 'critical'> & { row: TraceRow; evidence: Evidence | null; critical: [from: number, to: number][] };
export type TracePart = schema.Part & { kind: 'own' | 'waiting' | 'network' | 'no_answer' };
export type Trace = Omit<schema.TraceAnswer, 'spans' | 'orphans' | 'parts'> & { spans: TraceSpan[]; orphans: TraceSpan[]; parts: TracePart[] };

export type TracePage = Omit<Whole<schema.TracesAnswer>, 'rows'> & { rows: RequestRow[] };
export type EntryEndpoint = Whole<schema.EntryLine>;
export type Comparison = schema.CompareAnswer;
export type Difference = schema.Difference;

export type Failed = schema.ErrorBody;
