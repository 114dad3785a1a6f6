// /v1/requests and its neighbours: rows are made on the fly, second by second.
import { matches } from './filter.mjs';
import { errorShare, nodeTag, reader, requestsOf, wave } from './traffic.mjs';

const SLOW_US = 100_000;
// How many seconds one answer may walk through: enough to fill a page, small enough to answer at once.
const MAX_SECONDS = 900;

const edgesFor = (world, terms) =>
  world.edges.map((edge, index) => ({ edge, index })).filter(({ edge }) => edge.rate > 0 && matches(terms, reader(world, edge), 'edge'));

const secondRows = (world, edges, terms, second) =>
  edges
    .flatMap(({ edge, index }) => requestsOf(edge, index, second).filter((row) => matches(terms, reader(world, edge, row))))
    .sort((a, b) => b.end_time_us - a.end_time_us);

export function list(world, { range, terms, limit, order, cursor, after }) {
  const edges = edgesFor(world, terms);
  const now = Date.now() / 1000 - 0.5;
  const upper = after ? now : Math.min(range.to, now);
  const newerThan = after ? Number(after) : range.from * 1e6;
  let olderThan = cursor && order !== 'latency' ? Number(cursor) : upper * 1e6;
  const rows = [];
  const start = Math.floor(olderThan / 1e6);
  for (let second = start; second >= newerThan / 1e6 - 1 && start - second < MAX_SECONDS; second--) {
    rows.push(...secondRows(world, edges, terms, second).filter((r) => r.end_time_us < olderThan && r.end_time_us > newerThan));
    if (order !== 'latency' && rows.length >= limit) break;
    if (rows.length > 20_000) break;
  }
  if (order === 'latency') return slowest(rows, limit, cursor, upper);
  const page = rows.slice(0, limit);
  return { rows: page, next: page.length === limit ? String(page.at(-1).end_time_us) : null, newest: page[0] ? String(page[0].end_time_us) : null };
}

function slowest(rows, limit, cursor, upper) {
  const from = Number(cursor ?? 0);
  const sorted = rows.sort((a, b) => (b.response_duration_us ?? 0) - (a.response_duration_us ?? 0));
  const page = sorted.slice(from, from + limit);
  return { rows: page, next: from + limit < sorted.length ? String(from + limit) : null, newest: String(Math.floor(upper * 1e6)) };
}

export function histogram(world, { range, terms, buckets }) {
  const edges = edgesFor(world, terms);
  const status = terms.find((t) => t.tag.name === 'status');
  const wants = (name) => !status || (status.op === '=' ? status.values.includes(name) : !status.values.includes(name));
  const step = Math.max(1, Math.round((range.to - range.from) / buckets));
  const start = Math.floor(range.from / step) * step;
  const out = [];
  for (let time = start; time < range.to; time += step) {
    const bucket = { time, ok: 0, slow: 0, client_error: 0, server_error: 0, timeout: 0 };
    for (const { edge } of edges) addEdge(bucket, edge, time, step);
    for (const key of ['ok', 'slow', 'client_error', 'server_error', 'timeout']) bucket[key] = wants(key === 'slow' ? 'ok' : key) ? Math.round(bucket[key]) : 0;
    out.push(bucket);
  }
  return { step_s: step, slow_us: SLOW_US, buckets: out };
}

function addEdge(bucket, edge, time, step) {
  const total = edge.rate * wave(edge, time) * step;
  const errors = total * errorShare(edge, time);
  const slow = edge.latency_us > 20_000 ? (total - errors) * 0.06 : 0;
  bucket.ok += total - errors - slow;
  bucket.slow += slow;
  bucket.server_error += errors * 0.55;
  bucket.client_error += errors * 0.35;
  bucket.timeout += errors * 0.1;
}

export function one(world, wanted) {
  // What a trace is made of has longer ids.
  const id = wanted.slice(0, 18);
  const second = Number(BigInt(id) / 100_000_000n);
  const index = Number((BigInt(id) / 10_000n) % 10_000n);
  const edge = world.edges[index];
  const row = edge && requestsOf(edge, index, second).find((r) => r._id === id);
  if (!row) return null;
  const tags = (name) => Object.fromEntries(['auto_service', 'auto_instance', 'process_name', 'host', 'pod_ns', 'region'].map((tag) => [tag, nodeTag(world.byName.get(name), tag)]).filter(([, v]) => v));
  const seen = (point, ahead, more) => ({ _id: point === 's-p' ? id : `${id}1`, observation_point: point, start_time_us: row.start_time_us - ahead, response_duration_us: row.response_duration_us === null ? null : row.response_duration_us + more });
  const { client, server, response_duration_us, client_entity_id, server_entity_id, end_time_us, ...columns } = row;
  return {
    row: { ...columns, flow_id: `1341138607${index}`, request_id: null, client_entity: Number(client_entity_id), server_entity: Number(server_entity_id), response_duration: response_duration_us ?? 0, agent: 'demo-host', signal_source: 'eBPF', process_id_0: 4100 + index, process_id_1: 4200 + index, x_request_id: `req-${id.slice(-8)}`, trace_id: '', response_result: '' },
    client_tags: tags(edge.client), server_tags: tags(edge.server),
    observations: [seen('c-p', 120, 410), seen('s-p', 0, 0)],
    flow: { rtt_us: 84, retransmissions: 0 },
  };
}
