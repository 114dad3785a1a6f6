// Observation points in words: where on the path between client and server a call was seen.
const POINT_NAMES: Record<string, string> = {
  'c-app': 'client application', 'c-p': 'client process', c: 'client network', 'c-nd': 'client node', 'c-hv': 'client host', 'c-gw-hv': 'client gateway host', 'c-gw': 'client gateway',
  local: 'local', rest: 'elsewhere', 's-gw': 'server gateway', 's-gw-hv': 'server gateway host', 's-hv': 'server host', 's-nd': 'server node', s: 'server network', 's-p': 'server process', 's-app': 'server application',
};

export const pointName = (point: string): string => POINT_NAMES[point] ?? point;
