// /v1/map and /v1/map/detail: figures come from rates, not from counting rows, so that 500 services stay cheap.
import { matches } from './filter.mjs';
import { errorShare, nodeTag, reader, wave } from './traffic.mjs';

const POINTS = 30;
const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);
const round = (value, digits = 3) => Number(value.toFixed(digits));

function groupEdges(world, terms, groupBy) {
  const groups = new Map();
  for (const edge of world.edges) {
    if (!matches(terms, reader(world, edge), 'edge')) continue;
    const name = (side) => nodeTag(world.byName.get(side), groupBy) || '(none)';
    const [client, server] = [name(edge.client), name(edge.server)];
    const id = `${client}→${server}`;
    if (!groups.has(id)) groups.set(id, { id, client, server, parts: [] });
    groups.get(id).parts.push(edge);
  }
  return [...groups.values()];
}

const sparkline = (parts, { from, to }) => {
  const step = (to - from) / POINTS;
  return Array.from({ length: POINTS }, (_, i) => round(sum(parts, (e) => e.rate * wave(e, from + i * step)), 2));
};

function figures(parts, range) {
  const seconds = range.to - range.from;
  const rate = sum(parts, (e) => e.rate * wave(e, range.to));
  const errorRate = sum(parts, (e) => e.rate * errorShare(e, range.to));
  const timed = parts.filter((e) => e.rate > 0);
  const p50 = timed.length ? Math.round(sum(timed, (e) => e.latency_us * e.rate) / sum(timed, (e) => e.rate)) : null;
  const p99 = timed.length ? Math.round(Math.max(...timed.map((e) => e.latency_us)) * 4.6) : null;
  return { requests: Math.round(rate * seconds), errors: Math.round(errorRate * seconds), request_rate: round(rate), error_ratio: rate ? round(errorRate / rate, 5) : 0, p50_us: p50, p99_us: p99, sparkline: sparkline(parts, range) };
}

function edgeOf(group, range) {
  const f = figures(group.parts, range);
  const server_errors = Math.round(f.errors * 0.55);
  const timeouts = Math.round(f.errors * 0.1);
  return {
    id: group.id, client: group.client, server: group.server, protocols: [...new Set(group.parts.map((e) => e.protocol))],
    ...f, server_errors, timeouts, client_errors: f.errors - server_errors - timeouts, observation_point: 's-p',
    connections: sum(group.parts, (e) => e.connections ?? Math.ceil(e.rate / 10)), bytes_rate: round(f.request_rate * 2400),
  };
}

function nodesOf(world, groups, range, groupBy) {
  const nodes = new Map();
  const node = (name) => nodes.get(name) ?? nodes.set(name, { name, served: [], members: new Set() }).get(name);
  for (const group of groups) {
    node(group.server).served.push(...group.parts);
    for (const edge of group.parts) {
      node(group.client).members.add(edge.client);
      node(group.server).members.add(edge.server);
    }
  }
  return [...nodes.values()].map(({ name, served, members }) => {
    const first = world.byName.get([...members][0]);
    return {
      id: name, name, kind: first.kind, protocols: [...new Set(served.map((e) => e.protocol))], members: [...members],
      tags: { [groupBy]: name, process_name: first.process_name, host: first.host }, ...figures(served, range),
    };
  });
}

const loss = (world) => (world.lossy ? [{ agent: 'demo-host', cause: 'ring_full', count: 1243 }, { agent: 'demo-host', cause: 'payload_truncated', count: 88 }] : []);

export function map(world, { range, terms, groupBy }) {
  const groups = groupEdges(world, terms, groupBy);
  const lost = loss(world);
  return {
    from: range.from, to: range.to, step_s: (range.to - range.from) / POINTS,
    nodes: nodesOf(world, groups, range, groupBy), edges: groups.map((group) => edgeOf(group, range)),
    health: { agents: world.agents, lost: sum(lost, (l) => l.count), loss: lost },
  };
}

const peers = (groups, side, range) =>
  groups.map((g) => ({ name: g[side], ...pickRed(figures(g.parts, range)) })).sort((a, b) => b.request_rate - a.request_rate);
const pickRed = ({ request_rate, error_ratio, p99_us }) => ({ request_rate, error_ratio, p99_us });

function series(parts, { from, to }) {
  const count = 60;
  return Array.from({ length: count }, (_, i) => {
    const time = Math.floor(from + (i * (to - from)) / count);
    const rate = sum(parts, (e) => e.rate * wave(e, time));
    const p50 = parts.length ? Math.max(...parts.map((e) => e.latency_us)) * (1 + 0.2 * Math.sin(time / 77)) : null;
    return { time, request_rate: round(rate), error_rate: round(sum(parts, (e) => e.rate * errorShare(e, time))), p50_us: p50 && Math.round(p50), p99_us: p50 && Math.round(p50 * (4.2 + Math.sin(time / 31))) };
  });
}

export function detail(world, { range, terms, groupBy, client, server }) {
  const groups = groupEdges(world, terms, groupBy);
  const own = groups.filter((g) => g.server === server && (!client || g.client === client));
  const parts = own.flatMap((g) => g.parts);
  const live = parts.filter((e) => e.rate > 0);
  const all = figures(parts, range);
  const shares = [0.46, 0.3, 0.14, 0.07, 0.03];
  const names = live[0]?.protocol === 'Redis' ? ['GET', 'HGETALL', 'SET', 'INCR'] : ['/cart/{}', '/products/{}', '/checkout', '/search', '/healthz'];
  const members = new Set(parts.map((e) => e.server));
  return {
    series: series(live, range),
    endpoints: live.length ? names.map((endpoint, i) => ({ endpoint, protocol: live[0].protocol, requests: Math.round(all.requests * shares[i]), request_rate: round(all.request_rate * shares[i]), error_ratio: i === 2 ? Math.min(1, all.error_ratio * 4) : all.error_ratio / 2, p50_us: all.p50_us, p99_us: Math.round(all.p99_us * (1 - i / 8)) })) : [],
    callers: peers(groups.filter((g) => g.server === server), 'client', range),
    callees: peers(groups.filter((g) => g.client === (server ?? client)), 'server', range),
    instances: [...members].flatMap((name) => instancesOf(world.byName.get(name))),
  };
}

const instancesOf = (node) =>
  Array.from({ length: node.instances }, (_, i) => ({ entity: String(17 + i), auto_instance: `${node.name}-${i}`, host: node.host, process_name: node.process_name, container_id: node.host ? `c0ffee${i}` : '' }));
