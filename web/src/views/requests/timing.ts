// Where the time of a call went: what the client waited, minus what the server took, was the network and queues.
import type { Observation } from '../../api/types';
import { pointName } from '../../format/points';

const PATH = ['c-app', 'c-p', 'c', 'c-nd', 'c-hv', 'c-gw-hv', 'c-gw', 'local', 'rest', 's-gw', 's-gw-hv', 's-hv', 's-nd', 's', 's-p', 's-app'];

export interface Bar {
  point: string;
  name: string;
  /** Fractions of the whole, 0..1. */
  start: number;
  length: number;
  duration_us: number | null;
}

export interface Timing {
  bars: Bar[];
  client_us: number | null;
  server_us: number | null;
  /** Null unless both ends saw the call. */
  network_us: number | null;
}

const isClient = (point: string): boolean => point.startsWith('c');
const isServer = (point: string): boolean => point.startsWith('s');
const order = (o: Observation): number => PATH.indexOf(o.observation_point);

export function timingOf(observations: Observation[]): Timing {
  const seen = [...observations].sort((a, b) => order(a) - order(b));
  const client = seen.find((o) => isClient(o.observation_point))?.response_duration_us ?? null;
  const server = seen.findLast((o) => isServer(o.observation_point))?.response_duration_us ?? null;
  const start = Math.min(...seen.map((o) => o.start_time_us));
  const end = Math.max(...seen.map((o) => o.start_time_us + (o.response_duration_us ?? 0)));
  const whole = Math.max(1, end - start);
  const bars = seen.map((o) => ({
    point: o.observation_point, name: pointName(o.observation_point),
    start: (o.start_time_us - start) / whole, length: (o.response_duration_us ?? 0) / whole, duration_us: o.response_duration_us,
  }));
  // Clocks of two hosts may differ, durations do not: a server that took longer than its client waited says so by 0.
  const network = client !== null && server !== null ? Math.max(0, client - server) : null;
  return { bars, client_us: client, server_us: server, network_us: network };
}
