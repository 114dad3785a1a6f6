// The three reasons for seeing nothing, most likely first: no agent, too narrow a filter, too short a range.
import { useAgents } from '../../api/queries';
import { LAST_NAMES, rangeWords } from '../../state/range';
import { LASTS, type Last } from '../../state/search';
import { usePatch, useRange, useSearchState } from '../../state/useUrl';
import { Icon } from '../Icon';
import { Empty } from './States';

export function NoAgent() {
  return (
    <Empty icon="agents" title="No agent is connected">
      <p>Start one on the host you want to see, as root:</p>
      <code className="state-query">sudo hadal up</code>
      <p>Its first requests appear here a few seconds later. <code>hadal doctor</code> says what a host lacks.</p>
    </Empty>
  );
}

function wider(last: Last): Last | null {
  const names = Object.keys(LASTS) as Last[];
  return names[names.indexOf(last) + 1] ?? null;
}

export function NoTraffic({ what }: { what: string }) {
  const { filter } = useSearchState();
  const { range, setRange } = useRange();
  const patch = usePatch();
  const { data } = useAgents(range);
  if (data && data.agents.length === 0) return <NoAgent />;
  const next = wider(range.last);
  const actions = (
    <>
      {filter && <button className="button" onClick={() => patch({ filter: undefined })}><Icon name="close" /> Drop the filter</button>}
      {next && <button className="button" onClick={() => setRange({ last: next })}><Icon name="clock" /> {LAST_NAMES[next]}</button>}
    </>
  );
  return (
    <Empty icon="search" title={filter ? `No ${what} match this filter` : `No ${what} in this range`} actions={actions}>
      {filter ? <p>Nothing in <b>{rangeWords(range)}</b> matches <code>{filter}</code>.</p> : <p>Nothing was seen in <b>{rangeWords(range)}</b>. Send a request to a service on the agent's host, or widen the range.</p>}
    </Empty>
  );
}
