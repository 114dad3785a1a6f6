// Whether the map is the whole truth: a quiet badge that explains what was lost and where.
import { Link } from '@tanstack/react-router';
import type { Health } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Popover, usePopover } from '../../components/Popover';
import { missingOf } from '../../format/loss';
import { count, plural } from '../../format/units';
import { sharedOf } from '../../state/search';
import { useSearchState } from '../../state/useUrl';

function Explanation({ health }: { health: Health }) {
  const search = useSearchState();
  const { lost, unlogged } = missingOf(health.loss);
  return (
    <div className="health-text">
      {lost === 0
        ? <p>Nothing was lost: {health.agents === 1 ? 'the agent has' : `all ${health.agents} agents have`} delivered every event of this range.</p>
        : <p><b>{plural(lost, 'event')}</b> of this range were lost or not understood, so counts are a little too low. Latencies of what is shown are right.</p>}
      {unlogged > 0 && <p><b>{plural(unlogged, 'request')}</b> are counted here but missing in the list of requests: there were more than its limit per second.</p>}
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
  const { lost, unlogged } = missingOf(health.loss);
  const good = lost === 0 && unlogged === 0;
  const text = health.agents === 0 ? 'No agent' : good ? 'Complete' : lost > 0 ? `${count(lost)} lost` : 'Log incomplete';
  return (
    <>
      <button className="chip health" data-testid="health-badge" aria-haspopup="dialog" aria-expanded={anchor !== null} title="How complete this data is" onClick={(e) => toggle(e.currentTarget)}>
        <span className={good && health.agents > 0 ? 'good-text' : 'slow-text'}><Icon name={good && health.agents > 0 ? 'check' : 'warn'} size={13} /></span> {text}
      </button>
      {anchor && <Popover anchor={anchor} onClose={close} label="How complete this data is" align="end"><Explanation health={health} /></Popover>}
    </>
  );
}
