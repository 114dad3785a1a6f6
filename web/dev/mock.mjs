// A development aid: answers Hadal's HTTP API with generated data, to work on the page on a machine where
// no agent can run. Nothing of this is shipped. `--services 500` shows a large installation, `--empty` one
// that has not seen traffic, `--no-agent` one without agents, `--dist` also serves the built page.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { agents } from './mock/agents.mjs';
import { FilterError, parseFilter } from './mock/filter.mjs';
import { detail, map } from './mock/map.mjs';
import { histogram, list, one } from './mock/requests.mjs';
import { TAGS } from './mock/tags.mjs';
import { demo, generated } from './mock/topology.mjs';
import { compare, endpoints, trace, traces } from './mock/traces.mjs';
import { nodeTag, reader, requestsOf } from './mock/traffic.mjs';

const { values: args } = parseArgs({
  options: {
    services: { type: 'string' }, port: { type: 'string', default: '20417' }, empty: { type: 'boolean' },
    'no-agent': { type: 'boolean' }, dist: { type: 'boolean' }, delay: { type: 'string', default: '0' },
  },
});

const silent = args.empty || args['no-agent'];
const base = args.services ? generated(Number(args.services)) : demo();
const world = { ...base, edges: silent ? [] : base.edges, byName: new Map(base.nodes.map((n) => [n.name, n])), agents: args['no-agent'] ? 0 : 1, lossy: !silent };
const dist = new URL('../dist/', import.meta.url).pathname;

function tagValues(name, prefix, limit) {
  const key = name.replace(/_[01]$/, '');
  const tag = TAGS.find((t) => t.name === key);
  const counts = new Map();
  const add = (value) => value !== '' && value != null && counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  if (tag?.two_sided) base.nodes.forEach((node) => add(nodeTag(node, key)));
  else if (tag?.values) tag.values.forEach(add);
  else world.edges.slice(0, 40).forEach((edge, i) => requestsOf(edge, i, Math.floor(Date.now() / 1000)).forEach((row) => add(reader(world, edge, row)(key))));
  return [...counts].filter(([v]) => v.toLowerCase().includes(prefix.toLowerCase())).sort((a, b) => b[1] - a[1]).slice(0, limit).map(([value, count]) => ({ value, count }));
}

function answer(path, q) {
  const now = Date.now() / 1000;
  const range = { from: Number(q.get('from') ?? now - 900), to: Number(q.get('to') ?? now) };
  const limit = Math.min(1000, Number(q.get('limit') ?? 200));
  const common = { range, limit, terms: parseFilter(q.get('filter') ?? ''), groupBy: q.get('group_by') ?? 'auto_service' };
  if (path === '/v1/map') return map(world, common);
  if (path === '/v1/map/detail') return detail(world, { ...common, client: q.get('client'), server: q.get('server') });
  if (path === '/v1/requests') return list(world, { ...common, order: q.get('order'), cursor: q.get('cursor'), after: q.get('after') });
  if (path === '/v1/requests/histogram') return histogram(world, { ...common, buckets: Number(q.get('buckets') ?? 60) });
  if (path === '/v1/traces') return traces(world, { ...common, show: q.get('show'), cursor: q.get('cursor') });
  if (path === '/v1/traces/endpoints') return endpoints(world, common);
  if (path === '/v1/traces/compare') return compare(world, { ...common, of: q.get('of'), slowUs: q.has('slow_us') ? Number(q.get('slow_us')) : null });
  const wanted = /^\/v1\/trace\/(\d+)$/.exec(path);
  if (wanted) return trace(world, wanted[1]);
  if (path === '/v1/tags') return { tags: TAGS.map(({ scope, ...tag }) => tag) };
  if (path === '/v1/agents') return agents(args['no-agent'] ? 0 : args.services ? 24 : 1, silent);
  const values = /^\/v1\/tags\/([^/]+)\/values$/.exec(path);
  if (values) return { values: tagValues(decodeURIComponent(values[1]), q.get('prefix') ?? '', Number(q.get('limit') ?? 20)) };
  const request = /^\/v1\/requests\/(\d+)$/.exec(path);
  return request ? one(world, request[1]) : null;
}

const send = (res, status, body, type = 'application/json') => {
  res.writeHead(status, { 'content-type': type });
  res.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
};
const fail = (res, status, code, message, extra = {}) =>
  send(res, status, { error: { code, message, position: null, length: null, suggestion: null, ...extra } });

const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html', '.svg': 'image/svg+xml' };
function serveFile(res, path) {
  const file = join(dist, path);
  const found = extname(path) && existsSync(file) ? file : join(dist, 'index.html');
  send(res, 200, readFileSync(found), TYPES[extname(found)] ?? 'application/octet-stream');
}

function handle(req, res) {
  const url = new URL(req.url, 'http://mock');
  if (url.pathname === '/healthz') return send(res, 200, 'ok', 'text/plain');
  if (!url.pathname.startsWith('/v1/')) return args.dist ? serveFile(res, url.pathname) : fail(res, 404, 'not_found', 'no such path');
  try {
    const body = answer(url.pathname, url.searchParams);
    return body ? send(res, 200, body) : fail(res, 404, 'not_found', 'not found');
  } catch (error) {
    if (error instanceof FilterError) return fail(res, 400, error.code, error.message, { position: error.position, length: error.length, suggestion: error.suggestion });
    console.error(error);
    return fail(res, 500, 'internal', String(error));
  }
}

createServer((req, res) => setTimeout(() => handle(req, res), Number(args.delay))).listen(Number(args.port), '127.0.0.1', () =>
  console.log(`mock of the Hadal API on http://127.0.0.1:${args.port}`),
);
