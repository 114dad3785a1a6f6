// What the drawer says of a request. Columns come as the store has them, so what is derived is derived here, once.
import type { RequestDetail, Status } from '../../api/types';

export const text = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);

export const numberOf = (value: unknown): number | null => (value === null || value === undefined || value === '' ? null : Number(value));

export interface Facts {
  client: string;
  server: string;
  status: Status;
  /** Null when no response was seen. */
  took_us: number | null;
  tls: boolean;
}

export function factsOf({ row, client_tags, server_tags, observations }: RequestDetail): Facts {
  const own = observations.find((o) => o._id === text(row['_id']) && o.observation_point === row['observation_point']);
  const stored = numberOf(row['response_duration_us'] ?? row['response_duration']);
  return {
    client: text(row['client']) || (client_tags['auto_service'] ?? ''),
    server: text(row['server']) || (server_tags['auto_service'] ?? ''),
    status: (text(row['response_status']) || 'unknown') as Status,
    // The store writes 0 where there is no response; the observation of the same row tells the two apart.
    took_us: own ? own.response_duration_us : row['type'] === 'session' ? stored : null,
    tls: row['is_tls'] === true || row['is_tls'] === 1,
  };
}
