// Who calls whom. Everything is drawn from a seeded generator, so that two runs show the same picture.
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const service = (name, kind, extra = {}) => ({
  name, kind, host: 'demo-host', region: 'fra1', pod_ns: '', instances: 1, process_name: name, ...extra,
});

const edge = (client, server, protocol, rate, latency_us, errors = 0, extra = {}) => ({
  client, server, protocol, rate, latency_us, errors, network_us: 140, ...extra,
});

export function demo() {
  const nodes = [
    service('curl', 'client'),
    service('nginx', 'proxy'),
    service('shop.py', 'service', { instances: 2 }),
    service('stock.py', 'service'),
    service('redis-server', 'store'),
    service('api.payments.example', 'world', { host: '' }),
  ];
  const edges = [
    edge('curl', 'nginx', 'HTTP1', 24, 42_000, 0.012),
    edge('nginx', 'shop.py', 'HTTP1', 23.6, 38_000, 0.013),
    edge('shop.py', 'stock.py', 'HTTP1', 31, 9_000, 0.041),
    edge('stock.py', 'redis-server', 'Redis', 92, 320, 0),
    edge('shop.py', 'api.payments.example', 'TLS', 0, 0, 0, { connections: 4 }),
  ];
  return { nodes, edges };
}

const WORDS = ['cart', 'order', 'price', 'stock', 'search', 'user', 'mail', 'review', 'media', 'geo', 'rank', 'fraud', 'tax', 'ship', 'return', 'loyalty', 'promo', 'basket', 'invoice', 'ledger'];
const ROLES = ['api', 'worker', 'gateway-adapter', 'read-model', 'scheduler', 'sync', 'resolver', 'enricher'];

/** `count` services in five layers; a few are busy, most are quiet, some have connections only. */
export function generated(count) {
  const next = random(7);
  const pick = (list) => list[Math.floor(next() * list.length)];
  const layers = [[], [], [], [], []];
  const share = [0.02, 0.04, 0.34, 0.4, 0.2];
  const nodes = [];
  for (let i = 0; i < count; i++) {
    const at = share.findIndex((_, layer) => i < count * share.slice(0, layer + 1).reduce((a, b) => a + b, 0));
    const layer = at < 0 ? 4 : at;
    const kind = ['client', 'proxy', 'service', 'service', next() < 0.85 ? 'store' : 'world'][layer];
    const base = `${pick(WORDS)}-${layer === 4 ? pick(['postgres', 'redis', 'kafka', 'mysql']) : pick(ROLES)}`;
    const ns = pick(['checkout', 'catalog', 'identity', 'platform']);
    const name = `${ns}-${base}-${i}`;
    const node = service(name, kind, { host: `node-${Math.floor(next() * 24)}`, region: pick(['fra1', 'ams2', 'ewr3']), pod_ns: ns, process_name: base, instances: 1 + Math.floor(next() * 4) });
    layers[layer].push(node);
    nodes.push(node);
  }
  return { nodes, edges: generatedEdges(layers, next) };
}

function generatedEdges(layers, next) {
  const edges = [];
  for (let layer = 0; layer < 4; layer++) {
    for (const from of layers[layer]) {
      const fan = layer < 2 ? 6 : 1 + Math.floor(next() * 3);
      for (let k = 0; k < fan; k++) {
        const pool = layers[layer + 1];
        // The square skews calls towards the first of each layer: hubs exist in every real system.
        const to = pool[Math.floor(next() ** 2 * pool.length)];
        if (edges.some((e) => e.client === from.name && e.server === to.name)) continue;
        const quiet = next() < 0.12;
        const store = to.kind === 'store';
        const protocol = quiet ? 'TCP' : store ? pick2(next, ['Redis', 'PostgreSQL', 'MySQL', 'Kafka']) : pick2(next, ['HTTP1', 'HTTP2', 'gRPC']);
        edges.push(edge(from.name, to.name, protocol, quiet ? 0 : 0.02 + 260 * next() ** 5, store ? 500 + 4000 * next() : 3000 + 60_000 * next() ** 2, next() < 0.08 ? next() * 0.3 : next() < 0.3 ? next() * 0.01 : 0, quiet ? { connections: 1 + Math.floor(next() * 9) } : {}));
      }
    }
  }
  return edges;
}

const pick2 = (next, list) => list[Math.floor(next() * list.length)];
