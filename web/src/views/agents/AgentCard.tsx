import type { Agent, Capability } from '../../api/types';
import { Icon, type IconName } from '../../components/Icon';
import { Value } from '../../components/Value';
import { bytes, count, plural, rate, ratio } from '../../format/units';
import { missingOf } from '../../format/loss';
import { ago } from '../../format/time';

const CAPABILITY: Record<Capability['state'], [IconName, string, string]> = {
  ok: ['check', 'good-text', 'works'], degraded: ['warn', 'slow-text', 'in part'], missing: ['close', 'error-text', 'missing'],
};

function State({ agent }: { agent: Agent }) {
  const running = agent.state === 'running';
  return (
    <span className={`chip ${running ? 'good' : 'error'}`} title={`last heard of ${ago(agent.last_seen_s)}`}>
      <Icon name={running ? 'check' : 'warn'} size={12} /> {running ? 'running' : `lost, heard of ${ago(agent.last_seen_s)}`}
    </span>
  );
}

function Figure({ name, children }: { name: string; children: string }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

function Capabilities({ capabilities }: { capabilities: Capability[] }) {
  return (
    <ul className="capabilities">
      {capabilities.map((c) => {
        const [icon, className, word] = CAPABILITY[c.state];
        return (
          <li key={c.name}>
            <span className={className}><Icon name={icon} size={14} /></span>
            <div><b>{c.name}</b> <span className={className}>{word}</span>{c.why && <p className="muted">{c.why}</p>}{c.what_to_do && <p>{c.what_to_do}</p>}</div>
          </li>
        );
      })}
    </ul>
  );
}

function Losses({ agent, when }: { agent: Agent; when: string }) {
  if (agent.loss.length === 0) return <p className="muted">Nothing was lost in {when}.</p>;
  return (
    <ul className="capabilities">
      {agent.loss.map((l) => (
        <li key={l.cause}>
          <span className="slow-text"><Icon name="warn" size={14} /></span>
          <div><b>{plural(l.count, 'event')}</b> <span className="mono muted">{l.cause}</span><p className="muted">{l.description}</p></div>
        </li>
      ))}
    </ul>
  );
}

/** What the closed card must already say. */
function Summary({ agent }: { agent: Agent }) {
  const { lost, unlogged, inPart } = missingOf(agent.loss);
  const lacking = agent.capabilities.filter((c) => c.state !== 'ok').length;
  return (
    <span className="agent-notes">
      {lost > 0 && <span className="chip slow">{count(lost)} lost</span>}
      {unlogged > 0 && <span className="chip" title="Counted, but missing in the list of requests">{count(unlogged)} not logged</span>}
      {inPart > 0 && <span className="chip" title="Counted, but payload or order is not known in full">{count(inPart)} in part</span>}
      {agent.shedding !== '' && <span className="chip slow" title="Left out to stay inside the CPU budget (cpu_percent)">sheds {agent.shedding}</span>}
      {lacking > 0 && <span className="chip slow">{lacking} of {agent.capabilities.length} capabilities lacking</span>}
    </span>
  );
}

/** `when` names the range that losses are counted in. */
export function AgentCard({ agent, open, when }: { agent: Agent; open: boolean; when: string }) {
  return (
    <li className="agent" data-testid="agent" data-name={agent.agent}>
      <details open={open || agent.state === 'lost'}>
        <summary>
          <span className="agent-name"><Value tag="host" value={agent.host}>{agent.agent}</Value></span>
          <State agent={agent} />
          <Summary agent={agent} />
          <dl className="agent-figures">
            <Figure name="Requests">{rate(agent.requests_rate)}</Figure>
            <Figure name="Events">{rate(agent.events_rate, 'ev')}</Figure>
            <Figure name="CPU">{ratio(agent.cpu_ratio)}</Figure>
            <Figure name="In kernel">{ratio(agent.kernel_cpu_ratio)}</Figure>
            <Figure name="Memory">{bytes(agent.rss_bytes)}</Figure>
          </dl>
        </summary>
        <div className="agent-body">
          <section><h3>Capabilities</h3><Capabilities capabilities={agent.capabilities} /></section>
          <section><h3>Losses in {when}</h3><Losses agent={agent} when={when} /></section>
          <section>
            <h3>This agent</h3>
            <dl className="facts"><dt>Capture level</dt><dd>{agent.capture_level}</dd><dt>Kernel</dt><dd>{agent.kernel}</dd><dt>Version</dt><dd>{agent.version}</dd><dt>Heard of</dt><dd>{ago(agent.last_seen_s)}</dd></dl>
          </section>
        </div>
      </details>
    </li>
  );
}
