import type { ServerFigures } from '../../api/types';
import { ago } from '../../format/time';
import { bytes, plural, rate } from '../../format/units';

export function ServerPanel({ server, agents }: { server: ServerFigures; agents: number }) {
  const facts: [string, string][] = [
    ['Version', server.version],
    ['Store', `${server.store} ${server.store_version}`],
    ['Data', bytes(server.data_bytes)],
    ['Rows written', rate(server.rows_rate, 'rows')],
    ['Started', ago(server.started_s)],
    ['Agents', plural(agents, 'agent')],
  ];
  return (
    <section className="server-panel" aria-label="This server">
      <h2>This server</h2>
      <dl>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </section>
  );
}
