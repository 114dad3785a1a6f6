// What a request is called: its method and where it went. A verb is said once.
interface Named {
  l7_protocol_str: string;
  request_type: string;
  endpoint: string;
}

export function callName({ l7_protocol_str, request_type, endpoint }: Named): string {
  // Of SQL the method is a kind of message; the endpoint says the statement.
  if (endpoint !== '' && l7_protocol_str.includes('SQL')) return endpoint;
  const verb = request_type || l7_protocol_str;
  return endpoint.split(/\s/)[0] === verb ? endpoint : `${verb} ${endpoint}`.trim();
}
