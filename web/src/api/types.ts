// Shapes of the HTTP API. Field suffixes give units: `_us` microseconds, `_s` seconds, `_rate` per second,
// `_ratio` 0..1, `_bytes`. 64-bit ids are strings, since JavaScript numbers cannot hold them.

export type NodeKind = 'client' | 'proxy' | 'service' | 'store' | 'world';

export interface MapNode {
  id: string;
  name: string;
  kind: NodeKind;
  tags: Record<string, string>;
  protocols: string[];
  members: string[];
  requests: number;
  errors: number;
  request_rate: number;
  error_ratio: number;
  p50_us: number | null;
  p99_us: number | null;
  sparkline: number[];
}

export interface MapEdge {
  id: string;
  client: string;
  server: string;
  protocols: string[];
  requests: number;
  client_errors: number;
  server_errors: number;
  timeouts: number;
  errors: number;
  request_rate: number;
  error_ratio: number;
  p50_us: number | null;
  p99_us: number | null;
  observation_point: string;
  connections: number;
  bytes_rate: number;
  sparkline: number[];
}

export interface Health {
  agents: number;
  lost: number;
  loss: { agent: string; cause: string; count: number }[];
}

export interface ServiceMap {
  from: number;
  to: number;
  step_s: number;
  nodes: MapNode[];
  edges: MapEdge[];
  health: Health;
}

export interface RedPoint {
  time: number;
  request_rate: number;
  error_rate: number;
  p50_us: number | null;
  p99_us: number | null;
}

export interface Peer {
  name: string;
  request_rate: number;
  error_ratio: number;
  p99_us: number | null;
}

export interface Endpoint {
  endpoint: string;
  protocol: string;
  requests: number;
  request_rate: number;
  error_ratio: number;
  p50_us: number | null;
  p99_us: number | null;
}

export interface Instance {
  entity: string;
  auto_instance: string;
  host: string;
  process_name: string;
  container_id: string;
}

export interface MapDetail {
  series: RedPoint[];
  endpoints: Endpoint[];
  callers: Peer[];
  callees: Peer[];
  instances: Instance[];
}

export type Status = 'ok' | 'client_error' | 'server_error' | 'timeout' | 'unknown';

export interface RequestRow {
  _id: string;
  start_time_us: number;
  response_duration_us: number | null;
  observation_point: string;
  l7_protocol_str: string;
  version: string;
  type: 'session' | 'request' | 'response';
  client: string;
  server: string;
  client_entity: string;
  server_entity: string;
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

export interface RequestPage {
  rows: RequestRow[];
  next: string | null;
  /** Null when the page has no rows. */
  newest: string | null;
}

export interface HistogramBucket {
  time: number;
  ok: number;
  slow: number;
  client_error: number;
  server_error: number;
  timeout: number;
}

export interface Histogram {
  step_s: number;
  slow_us: number;
  buckets: HistogramBucket[];
}

export interface Observation {
  _id: string;
  observation_point: string;
  start_time_us: number;
  response_duration_us: number | null;
}

export interface RequestDetail {
  row: Record<string, unknown>;
  client_tags: Record<string, string>;
  server_tags: Record<string, string>;
  observations: Observation[];
  flow: { rtt_us: number | null; retransmissions: number } | null;
}

export interface Tag {
  name: string;
  kind: 'string' | 'number' | 'duration' | 'enum';
  two_sided: boolean;
  description: string;
  values: string[] | null;
}

export interface TagValue {
  value: string;
  count: number;
}

export interface Capability {
  name: string;
  state: 'ok' | 'degraded' | 'missing';
  why: string;
  what_to_do: string;
}

export interface Agent {
  agent: string;
  host: string;
  version: string;
  kernel: string;
  capture_level: string;
  state: 'running' | 'lost';
  last_seen_s: number;
  cpu_ratio: number;
  rss_bytes: number;
  events_rate: number;
  requests_rate: number;
  capabilities: Capability[];
  loss: { cause: string; count: number; description: string }[];
}

export interface ServerFigures {
  version: string;
  store: string;
  store_version: string;
  rows_rate: number;
  data_bytes: number;
  started_s: number;
}

export interface Agents {
  agents: Agent[];
  server: ServerFigures;
}
