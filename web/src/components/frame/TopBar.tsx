import { Link, useRouterState } from '@tanstack/react-router';
import { paused } from '../../state/range';
import { sharedOf } from '../../state/search';
import { useIsTrace, useRange, useSearchState } from '../../state/useUrl';
import { FilterLine } from '../filter/FilterLine';
import { Icon } from '../Icon';
import { PAGES } from './pages';
import { TimeRange } from './TimeRange';

function LiveToggle() {
  const { range, live, setRange } = useRange();
  const title = live ? 'Following the present. Pause (.)' : 'The range stands still. Go live (.)';
  return (
    <button className="button live" aria-pressed={live} title={title} data-testid="live-toggle" onClick={() => setRange(live ? paused(range) : { last: range.last })}>
      {live ? <i className="live-dot" /> : <Icon name="pause" size={14} />}
      <span>{live ? 'Live' : 'Paused'}</span>
    </button>
  );
}

export function TopBar() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const page = PAGES.find((p) => path.startsWith(p.to));
  const search = useSearchState();
  // A trace is what it is: neither a filter nor a range narrows it, so neither is shown.
  if (useIsTrace()) return <header className="topbar"><h1><Link to="/traces" search={sharedOf(search)} title="All traces (g t)">Traces</Link> <span className="muted">/</span> Trace</h1></header>;
  return (
    <header className="topbar">
      <h1>{page?.name ?? 'Hadal'}</h1>
      <FilterLine />
      <div className="topbar-time">
        <TimeRange />
        <LiveToggle />
      </div>
    </header>
  );
}
