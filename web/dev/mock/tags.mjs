// The tags of the mock: what /v1/tags answers. `scope` says whether an edge alone decides a term.
export const DURATIONS = { us: 1, ms: 1000, s: 1e6 };
const STATUS = ['ok', 'client_error', 'server_error', 'timeout', 'unknown'];

const both = (name, description) => ({ name, kind: 'string', two_sided: true, description, values: null, scope: 'edge' });
const one = (name, kind, description, values = null, scope = 'request') => ({ name, kind, two_sided: false, description, values, scope });

export const TAGS = [
  both('auto_service', 'the most telling name of a service: pod service, process or address'),
  both('auto_instance', 'the most telling name of one instance: pod, container or process'),
  both('process_name', 'name of the executable or script'),
  both('host', 'host the end runs on'),
  both('pod_ns', 'Kubernetes namespace'),
  both('region', 'region the end runs in'),
  one('protocol', 'enum', 'application protocol', ['HTTP1', 'HTTP2', 'gRPC', 'Redis', 'MySQL', 'PostgreSQL', 'DNS', 'FastCGI', 'Kafka'], 'edge'),
  one('endpoint', 'string', 'request path with its variable parts folded'),
  one('method', 'string', 'method or command'),
  one('domain', 'string', 'host name asked for'),
  one('resource', 'string', 'path, key or statement'),
  one('status', 'enum', 'how the request ended', STATUS),
  one('code', 'number', 'status code of the protocol'),
  one('latency', 'duration', 'time from request to response'),
  one('observation_point', 'enum', 'where on the path the request was seen', ['c-p', 'c', 's', 's-p'], 'request'),
  one('is_tls', 'enum', 'whether the connection was encrypted', ['true', 'false']),
];

/** Columns behind short names; a filter may use either. */
export const COLUMN = { protocol: 'l7_protocol_str', method: 'request_type', domain: 'request_domain', resource: 'request_resource', status: 'response_status', code: 'response_code' };

export function tagOf(key) {
  const exact = TAGS.find((tag) => tag.name === key || COLUMN[tag.name] === key);
  if (exact) return { tag: exact, side: '' };
  const side = key.endsWith('_0') ? '_0' : key.endsWith('_1') ? '_1' : '';
  const tag = side && TAGS.find((t) => t.two_sided && t.name === key.slice(0, -2));
  return { tag, side };
}
