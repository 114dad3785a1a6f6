// Whether the map is the whole truth: a quiet badge that explains what was lost and where.
import { Link } from '@tanstack/react-router';
import type { Health } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Popover, usePopover } from '../../components/Popover';
import { count, plural } from '../../format/units';
import { sharedOf } from '../../state/search';
import { useSearchState } from '../../state/useUrl';

function Explanation({ health }: { health: Health }) {
  const search = useSearchState();
  return (
    <div className="health-text">
      {health.lost === 0
        ? <p>Nothing was lost: {health.agents === 1 ? 'the agent has' : `all ${health.agents} agents have`} delivered every event of this range.</p>
        : <p><b>{plural(health.lost, 'event')}</b> did not reach the server in this range, so counts are a little too low. Latencies of what is shown are right.</p>}
      {health.loss.length > 0 && (
        <table className="list">
          <thead><tr><th>Agent</th><th>Cause</th><th className="num c-err">Lost</th></tr></thead>
          <tbody>{health.loss.map((l) => <tr key={l.agent + l.cause}><td title={l.agent}>{l.agent}</td><td title={l.cause}>{l.cause}</td><td className="num">{count(l.count)}</td></tr>)}</tbody>
        </table>
      )}
      <Link to="/agents" search={sharedOf(search)}>What each agent can see and why →</Link>
    </div>
  );
}

export function HealthBadge({ health }: { health: Health }) {
  const { anchor, toggle, close } = usePopover();
  const good = health.lost === 0;
  const text = health.agents === 0 ? 'No agent' : good ? 'Complete' : `${count(health.lost)} lost`;
  return (
    <>
      <button className="chip health" data-testid="health-badge" aria-haspopup="dialog" aria-expanded={anchor !== null} title="How complete this data is" onClick={(e) => toggle(e.currentTarget)}>
        <span className={good && health.agents > 0 ? 'good-text' : 'slow-text'}><Icon name={good && health.agents > 0 ? 'check' : 'warn'} size={13} /></span> {text}
      </button>
      {anchor && <Popover anchor={anchor} onClose={close} label="How complete this data is" align="end"><Explanation health={health} /></Popover>}
    </>
  );
}
