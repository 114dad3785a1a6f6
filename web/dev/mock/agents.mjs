// /v1/agents: a healthy agent, one with a missing capability and one that was lost.
const CAPABILITIES = [
  { name: 'socket capture', state: 'ok', why: '', what_to_do: '' },
  { name: 'TLS plaintext', state: 'degraded', why: 'OpenSSL 3 is read; Go binaries built without symbols are not', what_to_do: 'Build Go services without -ldflags=-s, or accept connections without requests for them.' },
  { name: 'process names', state: 'ok', why: '', what_to_do: '' },
  { name: 'container names', state: 'missing', why: 'no container runtime socket was found', what_to_do: 'Mount /run/containerd/containerd.sock into the agent if containers run on this host.' },
];
const LOSS = [
  { cause: 'ring_full', count: 1243, description: 'The kernel produced events faster than the agent read them. Raise --ring-size or lower the capture level.' },
  { cause: 'payload_truncated', count: 88, description: 'A message was longer than the captured prefix; its record is kept, its tail is not.' },
];

const agent = (i, silent) => ({
  agent: i ? `node-${i}` : 'demo-host', host: i ? `node-${i}` : 'demo-host', version: '0.1.0', kernel: '6.18.44',
  capture_level: i % 7 === 3 ? 'B' : 'A', state: i % 11 === 5 ? 'lost' : 'running', last_seen_s: Date.now() / 1000 - (i % 11 === 5 ? 340 : 1.2),
  cpu_ratio: 0.012 + i * 0.0007, rss_bytes: 68_400_000 + i * 912_000, events_rate: silent ? 0 : 4210 + i * 311, requests_rate: silent ? 0 : 171.6 + i * 9,
  capabilities: CAPABILITIES, loss: silent || i % 4 ? [] : LOSS,
});

export const agents = (count, silent) => ({
  agents: Array.from({ length: count }, (_, i) => agent(i, silent)),
  server: { version: '0.1.0', store: 'embedded', store_version: '26.7', rows_rate: silent ? 0 : 342.8, data_bytes: 482_114_560, started_s: Date.now() / 1000 - 7260 },
});
