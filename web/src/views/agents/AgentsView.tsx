// Who watches, how well, and what to do where they cannot.
import { useEffect } from 'react';
import { useAgents } from '../../api/queries';
import { NoAgent } from '../../components/states/NoTraffic';
import { Failure, SkeletonRows } from '../../components/states/States';
import { rangeWords } from '../../state/range';
import { useRange } from '../../state/useUrl';
import { AgentCard } from './AgentCard';
import { ServerPanel } from './ServerPanel';
import './agents.css';

/** A lone agent shows everything; of many only those with something to say are unfolded. */
const FEW = 3;

export function AgentsView() {
  const { range } = useRange();
  const query = useAgents(range);
  useEffect(() => {
    document.title = 'Agents · Hadal';
  }, []);
  if (query.error && !query.data) return <Failure error={query.error} retry={() => void query.refetch()} what="The agents" />;
  if (!query.data) return <div className="agents-view"><SkeletonRows rows={8} height={26} /></div>;
  const { agents, server } = query.data;
  // Those that need attention come first.
  const sorted = [...agents].sort((a, b) => Number(a.state === 'running') - Number(b.state === 'running') || a.agent.localeCompare(b.agent));
  return (
    <div className="agents-view">
      {agents.length === 0 ? <NoAgent /> : <ul className="agent-list">{sorted.map((agent) => <AgentCard key={agent.agent} agent={agent} open={agents.length <= FEW} when={rangeWords(range)} />)}</ul>}
      <ServerPanel server={server} agents={agents.length} />
    </div>
  );
}
