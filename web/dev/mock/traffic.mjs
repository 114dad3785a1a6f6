// Requests of one second on one edge, made from a hash of both: the same second always shows the same rows.
import { COLUMN } from './tags.mjs';
import { random } from './topology.mjs';

const PATHS = ['/cart/{}', '/products/{}', '/checkout', '/search', '/stock/{}', '/healthz'];
const REDIS = ['GET', 'SET', 'HGETALL', 'INCR'];
const SQL = ['SELECT', 'INSERT', 'UPDATE'];

const hash = (text) => [...text].reduce((h, c) => Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0, 2166136261);

/** A slow wave over the day plus a bump of errors for two minutes in every twenty. */
export const wave = (edge, time) => 1 + 0.28 * Math.sin(time / 190 + (hash(edge.server) % 7)) + 0.1 * Math.sin(time / 23);
export const errorShare = (edge, time) => (time % 1200 < 120 ? Math.min(0.6, edge.errors * 6) : edge.errors);

const target = (edge, next) => {
  if (edge.protocol === 'Redis') {
    const command = REDIS[Math.floor(next() * REDIS.length)];
    return { request_type: command, endpoint: command, request_resource: `stock:${Math.floor(next() * 900)}`, request_domain: '' };
  }
  if (/SQL|MySQL/.test(edge.protocol)) {
    const verb = SQL[Math.floor(next() * 3)];
    return { request_type: verb, endpoint: `${verb} items`, request_resource: `${verb} … items WHERE id = ${Math.floor(next() * 9999)}`, request_domain: '' };
  }
  const endpoint = PATHS[Math.floor(next() ** 1.6 * PATHS.length)];
  const method = endpoint === '/checkout' ? 'POST' : 'GET';
  return { request_type: method, endpoint, request_resource: endpoint.replace('{}', String(Math.floor(next() * 5000))), request_domain: edge.server };
};

const outcome = (edge, time, next) => {
  const failed = next() < errorShare(edge, time);
  if (!failed) return { response_status: 'ok', response_code: edge.protocol === 'Redis' ? null : 200, response_exception: '' };
  const draw = next();
  if (draw < 0.55) return { response_status: 'server_error', response_code: 503, response_exception: 'upstream connect error' };
  if (draw < 0.9) return { response_status: 'client_error', response_code: 404, response_exception: '' };
  return { response_status: 'timeout', response_code: null, response_exception: '' };
};

export function requestsOf(edge, index, second) {
  if (edge.rate === 0) return [];
  const next = random(hash(`${edge.client}|${edge.server}|${second}`));
  const expected = edge.rate * wave(edge, second);
  const count = Math.floor(expected) + (next() < expected % 1 ? 1 : 0);
  const rows = [];
  for (let i = 0; i < count; i++) rows.push(requestOf(edge, index, second, i, next));
  return rows;
}

function requestOf(edge, index, second, i, next) {
  const status = outcome(edge, second, next);
  const spread = Math.exp(1.1 * (next() + next() + next() - 1.5)) * (next() < 0.015 ? 9 : 1);
  const timeout = status.response_status === 'timeout';
  const took = timeout ? null : Math.round(edge.latency_us * spread);
  const end = second * 1e6 + Math.floor(next() * 1e6);
  return {
    _id: String(BigInt(second) * 100_000_000n + BigInt(index) * 10_000n + BigInt(i)),
    start_time_us: end - (took ?? 0), end_time_us: end, response_duration_us: took,
    observation_point: 's-p', l7_protocol_str: edge.protocol, version: edge.protocol === 'HTTP1' ? '1.1' : '',
    type: timeout ? 'request' : 'session', client: edge.client, server: edge.server,
    client_entity_id: String(100 + index), server_entity_id: String(500 + index),
    ...target(edge, next), ...status, is_tls: false,
    request_length: 80 + Math.floor(next() * 900), response_length: timeout ? null : 120 + Math.floor(next() ** 3 * 90_000),
    client_ip: '127.0.0.1', client_port: 32768 + Math.floor(next() * 28000), server_ip: '127.0.0.1', server_port: 8000 + (index % 90),
  };
}

/** Reads a tag of a row or, without a row, of an edge. */
export const reader = (world, edge, row) => (name) => {
  const side = name.endsWith('_0') ? edge.client : name.endsWith('_1') ? edge.server : null;
  if (side !== null) return nodeTag(world.byName.get(side), name.slice(0, -2));
  if (name === 'protocol') return edge.protocol;
  if (name === 'latency') return row?.response_duration_us;
  return row?.[COLUMN[name] ?? name];
};

export const nodeTag = (node, tag) =>
  ({ auto_service: node.name, auto_instance: `${node.name}-0`, process_name: node.process_name, host: node.host, pod_ns: node.pod_ns, region: node.region })[tag] ?? '';
