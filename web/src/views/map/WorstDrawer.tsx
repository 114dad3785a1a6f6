// The slowest and the failed requests from outside, beside the map; each leads to its trace.
import { Link } from '@tanstack/react-router';
import { useTraces, type ViewScope } from '../../api/queries';
import type { RequestRow } from '../../api/types';
import { Drawer, Section } from '../../components/Drawer';
import { Icon } from '../../components/Icon';
import { Failure, SkeletonRows } from '../../components/states/States';
import { callName } from '../../format/endpoints';
import { clock } from '../../format/time';
import { duration } from '../../format/units';
import { rangeWords } from '../../state/range';
import { sharedOf, type Show } from '../../state/search';
import { usePatch, useRange, useSearchState } from '../../state/useUrl';
import { serviceColour } from '../../theme/serviceColour';
import { StatusMark } from '../requests/StatusMark';

const MOST = 10;

function Row({ row }: { row: RequestRow }) {
  const search = useSearchState();
  const what = callName(row);
  return (
    <li>
      <Link className="worst-row" data-testid="worst-row" to="/traces/$id" params={{ id: row._id }} search={{ ...sharedOf(search), at: row.start_time_us }}>
        <i className="service-dot" style={{ background: serviceColour(row.server) }} aria-hidden="true" />
        <span className="clip" title={`${row.server} ${what}`}>{row.server} <span className="muted">{what}</span></span>
        <span title={row.response_status}><StatusMark status={row.response_status} /></span>
        <span className="muted nowrap">{clock(row.start_time_us / 1e6)}</span>
        <span className="num">{row.response_duration_us === null ? 'no answer' : duration(row.response_duration_us)}</span>
      </Link>
    </li>
  );
}

function List({ scope, show, title, none }: { scope: ViewScope; show: Show; title: string; none: string }) {
  const search = useSearchState();
  const query = useTraces(scope, show, MOST);
  const rows = query.data?.pages[0]?.rows;
  const all = <Link to="/traces" search={{ ...sharedOf(search), ...(show !== 'slowest' && { show }) }}>All</Link>;
  return (
    <Section title={title} extra={rows && rows.length > 0 && all}>
      {query.error && !rows ? <Failure error={query.error} retry={() => void query.refetch()} what="The list" />
        : !rows ? <SkeletonRows rows={5} height={18} />
          : rows.length === 0 ? <p className="muted">{none}</p>
            : <ul>{rows.map((row) => <Row key={row._id} row={row} />)}</ul>}
    </Section>
  );
}

export function WorstDrawer() {
  const { range } = useRange();
  const patch = usePatch();
  const scope = { range, filter: useSearchState().filter ?? '' };
  return (
    <Drawer label="Slowest and failed" title={<><Icon name="traces" /> Slowest and failed</>} subtitle={`Requests from outside, ${rangeWords(range)}`} onClose={() => patch({ worst: undefined })} takeFocus>
      <List scope={scope} show="slowest" title="Slowest" none="No request from outside was seen." />
      <List scope={scope} show="failed" title="Failed, newest first" none="None failed." />
    </Drawer>
  );
}

export function WorstButton() {
  const { worst } = useSearchState();
  const patch = usePatch();
  const toggle = (): void => patch({ worst: worst ? undefined : 'yes', client: undefined, server: undefined, folded: undefined });
  return (
    <button className="button worst-button" aria-pressed={worst === 'yes'} data-testid="worst" title="The slowest and the failed requests from outside" onClick={toggle}>
      <Icon name="traces" size={14} /> <span>Slowest and failed</span>
    </button>
  );
}
