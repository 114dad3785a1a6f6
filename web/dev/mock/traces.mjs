// /v1/traces and /v1/trace: what a request caused is made up from the rows of the same second. `/v1/trace/5000` is a very
// large trace that was cut, with failures, doubtful links and calls without a sure parent.
import { list } from './requests.mjs';
import { random } from './topology.mjs';
import { requestsOf } from './traffic.mjs';

const FAILED = ['client_error', 'server_error', 'timeout'];
const MAX_DEPTH = 6;

function grouped(list, keyOf) {
  const groups = new Map();
  for (const one of list) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return groups;
}

const entryWorld = (world) => {
  const servers = new Set(world.edges.filter((e) => e.rate > 0).map((e) => e.server));
  // Rows know their edge by its place, so the others stay and are silent.
  return { ...world, edges: world.edges.map((e) => (servers.has(e.client) ? { ...e, rate: 0 } : e)) };
};

export function traces(world, { show, limit, cursor, ...common }) {
  const order = show === 'failed' || show === 'newest' ? 'time' : 'latency';
  const { rows, next } = list(entryWorld(world), { ...common, limit: show === 'failed' ? 1000 : limit, order, cursor, after: null });
  const wanted = show === 'failed' ? rows.filter((r) => FAILED.includes(r.response_status)).slice(0, limit) : rows.filter((r) => order === 'time' || r.type === 'session');
  return { rows: wanted, next: show === 'failed' ? null : next, slow_us: 100_000 };
}

const quantile = (sorted, q) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] : null);

function population(world, common) {
  return list(entryWorld(world), { ...common, limit: 5000, order: 'latency', cursor: null, after: null }).rows;
}

export function endpoints(world, common) {
  const groups = grouped(population(world, common), (r) => JSON.stringify([r.server, r.l7_protocol_str, r.endpoint]));
  const lines = [...groups].map(([key, rows]) => {
    const [service, protocol, endpoint] = JSON.parse(key);
    const times = rows.map((r) => r.response_duration_us).filter((t) => t !== null).sort((a, b) => a - b);
    return { service, protocol, endpoint, requests: rows.length, failed: rows.filter((r) => FAILED.includes(r.response_status)).length, p50_us: quantile(times, 0.5), p99_us: quantile(times, 0.99) };
  });
  return { endpoints: lines.sort((a, b) => b.requests - a.requests).slice(0, 100) };
}

export function compare(world, { of, slowUs, ...common }) {
  const rows = population(world, common);
  const times = rows.map((r) => r.response_duration_us ?? 0).sort((a, b) => a - b);
  const slow_us = slowUs ?? quantile(times, 0.95) ?? 0;
  const isChosen = (r) => (of === 'failed' ? FAILED.includes(r.response_status) : (r.response_duration_us ?? 0) > slow_us);
  const chosen = rows.filter(isChosen);
  const rest = rows.filter((r) => !isChosen(r));
  const attributes = [['endpoint', 'endpoint', 'endpoint'], ['client', 'auto_service_0', 'client'], ['method', 'method', 'request_type'], ['code', 'code', 'response_code']];
  const share = (list, n) => (list.length ? n / list.length : 0);
  const lines = attributes.flatMap(([name, key, column]) => [...new Set(chosen.map((r) => r[column]))].filter((v) => v !== null && v !== '').map((value) => {
    const [a, b] = [chosen, rest].map((list) => list.filter((r) => r[column] === value).length);
    return { name, key, value: String(value), chosen: a, chosen_total: chosen.length, rest: b, rest_total: rest.length, along: name === 'endpoint' ? ['domain shop.example'] : [] };
  }));
  const differences = lines.filter((d) => share(chosen, d.chosen) - share(rest, d.rest) > 0.03).sort((a, b) => share(chosen, b.chosen) - share(rest, b.rest) - share(chosen, a.chosen) + share(rest, a.rest));
  if (chosen.length > 0) differences.unshift({ name: 'where the time goes', key: '', value: 'stock.py GET /stock/{}', chosen: 11, chosen_total: 12, rest: 2, rest_total: 12, along: [] });
  return { slow_us: Math.round(slow_us), chosen: chosen.length, rest: rest.length, one_in: 1, differences };
}

/** Both ends of a call, of which the inner one is the server's. */
function ends(out, row, parent, [from, to], next, evidence) {
  const call = out.calls++;
  const shift = from - row.start_time_us;
  const network = Math.min(400, (to - from) * 0.06) * next();
  const span = (id, point, start, end, parent_id, why, confidence, network_us) => ({
    id, parent_id, evidence: parent_id === null ? null : why, confidence: parent_id === null ? null : confidence, call, start_us: Math.round(start), self_us: 0, waiting_us: 0, network_us, critical: [],
    row: { ...row, _id: id, observation_point: point, start_time_us: Math.round(start - shift), end_time_us: Math.round(end - shift), agent: 'demo-host', process_id_0: 4100, process_id_1: 4200 },
  });
  const doubtful = next() < 0.12;
  const client = span(`${row._id}1`, 'c-p', from, to, parent, evidence, doubtful ? 0.6 : 0.84, Math.round(2 * network));
  const server = span(row._id, 's-p', from + network, to - network, client.id, 'same_call', 1, null);
  out.spans.push(client, server);
  return server;
}

const endOf = (span) => span.start_us + span.row.end_time_us - span.row.start_time_us;

/** Calls of a server one after the other, within its time. */
function below(world, out, server, second, depth, next, fan) {
  const own = world.edges.map((edge, index) => ({ edge, index })).filter(({ edge }) => edge.client === server.row.server && edge.rate > 0);
  if (own.length === 0 || depth > MAX_DEPTH || out.spans.length >= out.most) return;
  const [start, end] = [server.start_us, endOf(server)];
  const count = fan ?? 1 + Math.floor(next() * 3);
  let at = start + (end - start) * 0.06;
  for (let i = 0; i < count && out.spans.length < out.most; i++) {
    const { edge, index } = own[Math.floor(next() * own.length)];
    const rows = [second, second - 1, second - 2, second - 3].flatMap((s) => requestsOf(edge, index, s));
    const row = rows[Math.floor(next() * rows.length)];
    const to = Math.min(end - 10, at + ((end - start) / count) * (0.4 + 0.5 * next()));
    if (!row || to - at < 4) continue;
    // Rows may come again; the mock finds a request by the first digits of its id.
    const child = ends(out, { ...row, _id: `${row._id}${String(out.calls).padStart(5, '0')}` }, server.id, [at, to], next, i === 0 ? 'task_context' : 'answer_context');
    server.waiting_us += Math.round(to - at);
    below(world, out, child, second, depth + 1, next, null);
    at = to + ((end - start) / count) * 0.05;
  }
  server.self_us = Math.max(0, Math.round(end - start - server.waiting_us));
}

/** Calls do not overlap here, so the critical path is simply whoever was open deepest. */
function critical(spans) {
  const children = grouped(spans, (s) => s.parent_id);
  for (const span of spans) {
    let at = span.start_us;
    for (const child of children.get(span.id) ?? []) {
      if (child.start_us > at) span.critical.push([at, child.start_us]);
      at = Math.max(at, endOf(child));
    }
    if (endOf(span) > at) span.critical.push([at, endOf(span)]);
    if ((children.get(span.id) ?? []).length === 0 && span.self_us === 0) span.self_us = endOf(span) - span.start_us;
  }
}

function partsOf(spans) {
  const parts = new Map();
  for (const span of spans) {
    const time = span.critical.reduce((sum, [a, b]) => sum + b - a, 0);
    const kind = span.row.observation_point === 's-p' ? 'own' : 'network';
    const key = `${kind} ${span.row.server}`;
    const part = parts.get(key) ?? { kind, service: span.row.server, what: span.row.endpoint, time_us: 0, calls: 0, span_id: span.id, is_entry: kind === 'own' && span.call === 0 };
    parts.set(key, { ...part, time_us: part.time_us + time, calls: part.calls + 1 });
  }
  return [...parts.values()].filter((p) => p.time_us > 0).sort((a, b) => b.time_us - a.time_us);
}

export function trace(world, id) {
  const large = id === '5000';
  const second = large ? Math.floor(Date.now() / 1000) - 30 : Number(BigInt(id.slice(0, 18)) / 100_000_000n);
  const index = large ? 1 : Number((BigInt(id.slice(0, 18)) / 10_000n) % 10_000n);
  const edge = world.edges[index];
  const rows = edge ? requestsOf(edge, index, second) : [];
  const row = large ? rows[0] : rows.find((r) => id.startsWith(r._id));
  if (!row) return null;
  const next = random(second + index);
  const out = { spans: [], calls: 0, most: large ? 5000 : 400 };
  const took = large ? 2_400_000 : (row.response_duration_us ?? 1_200_000);
  const server = ends(out, row, null, [row.start_time_us, row.start_time_us + took], next, null);
  below(world, out, server, second, 1, next, large ? 1800 : null);
  critical(out.spans);
  const parts = partsOf(out.spans);
  const total_us = parts.reduce((sum, p) => sum + p.time_us, 0);
  const ms = (us) => `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)}\u00a0ms`;
  const orphans = large ? requestsOf(world.edges[3] ?? edge, 3, second).slice(0, 12).map((r, i) => ({ ...out.spans[0], id: r._id, parent_id: null, call: 100_000 + i, evidence: null, confidence: null, critical: [], start_us: row.start_time_us + i * 90_000, row: { ...r, observation_point: 'c-p' } })) : [];
  return { sentence: `${ms(total_us)}, of which ${ms(parts[0].time_us)} in ${parts[0].service} ${parts[0].what}.`, total_us, parts, spans: out.spans, orphans, orphans_found: orphans.length, truncated: large };
}
