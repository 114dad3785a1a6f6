// One call of the trace: why it stands here, where its time went, both ends, every column of every row.
import { Link } from '@tanstack/react-router';
import { useRequest } from '../../api/queries';
import { Drawer, Section } from '../../components/Drawer';
import { Icon } from '../../components/Icon';
import { Failure, SkeletonRows } from '../../components/states/States';
import { withTerms } from '../../filter/edit';
import { pointName } from '../../format/points';
import { full } from '../../format/time';
import { duration } from '../../format/units';
import { sharedOf, type SharedSearch } from '../../state/search';
import { useSearchState } from '../../state/useUrl';
import { AllColumns, RequestBody } from '../requests/RequestBody';
import { StatusMark } from '../requests/StatusMark';
import { confidenceOf, evidenceOf, isDoubtful } from './evidence';
import { isClientSide, lastOf, nameOf, type Call } from './tree';

const SLOW_US = 100_000;
/** Around the call, for links to what happened then. */
const AROUND_S = 450;

/** The pages behind the links show the time of the trace, unless the range already holds it. */
function around(shared: SharedSearch, us: number): SharedSearch {
  const at = us / 1e6;
  const now = Date.now() / 1000;
  if (shared.to === undefined && now - at < AROUND_S) return shared;
  return { ...shared, from: Math.round(at - AROUND_S), to: Math.round(at + AROUND_S) };
}

function Links({ call }: { call: Call }) {
  const search = useSearchState();
  const { row } = lastOf(call);
  const shared = around(sharedOf({ last: search.last, from: search.from, to: search.to }), row.end_time_us);
  const only = (terms: [string, string][]) => ({ ...shared, filter: withTerms('', terms) });
  const similar: [string, string][] = [['auto_service_1', row.server], ['endpoint', row.endpoint]];
  const connection: [string, string][] = [['auto_service_1', row.server], ['client_port', String(row.client_port)], ['server_port', String(row.server_port)]];
  return (
    <>
      <Link className="button" to="/requests" search={only(row.endpoint ? similar : similar.slice(0, 1))} data-testid="to-similar"><Icon name="requests" size={14} /> Similar requests</Link>
      {row.client_port > 0 && <Link className="button" to="/requests" search={only(connection)} title="Every request over the same ports"><Icon name="proxy" size={14} /> Same connection</Link>}
      <Link className="button" to="/map" search={{ ...shared, server: row.server }}><Icon name="service" size={14} /> {row.server} on the map</Link>
      <Link className="button" to="/map" search={{ ...shared, client: row.client, server: row.server }}><Icon name="map" size={14} /> This call on the map</Link>
    </>
  );
}

function Why({ call, orphan }: { call: Call; orphan: boolean }) {
  const last = lastOf(call);
  return (
    <Section title="In the trace">
      <dl className="facts">
        <div className="fact"><dt>Place</dt><dd>{orphan ? 'No sure parent: the process made this call while it worked on a request of this trace, perhaps for another one.' : evidenceOf(call)}</dd></div>
        {confidenceOf(call) !== '' && <div className="fact"><dt>How surely</dt><dd className={isDoubtful(call) ? 'slow-text' : ''}>{confidenceOf(call)}</dd></div>}
        {!isClientSide(last) && <div className="fact"><dt>Itself</dt><dd>{duration(last.self_us)}</dd></div>}
        {!isClientSide(last) && <div className="fact"><dt>Waiting for calls</dt><dd>{duration(last.waiting_us)}</dd></div>}
      </dl>
    </Section>
  );
}

export function SpanDrawer({ call, orphan, close }: { call: Call; orphan: boolean; close: () => void }) {
  const last = lastOf(call);
  const query = useRequest(last.id, last.row.start_time_us);
  const name = nameOf(call);
  const title = <><StatusMark status={last.row.response_status} /><span className="clip" title={name}>{name}</span></>;
  return (
    <Drawer label="Span" title={title} subtitle={`${last.row.client} → ${last.row.server} · began ${full(last.row.start_time_us)}`} onClose={close} wide>
      <Why call={call} orphan={orphan} />
      {query.error ? <Failure error={query.error} retry={() => void query.refetch()} what="The span" />
        : query.data ? <RequestBody detail={query.data} slowUs={SLOW_US} links={<Links call={call} />} />
          : <SkeletonRows rows={12} height={20} />}
      {/* The row nearest to the server is above; these are the others of the same call. */}
      {call.spans.slice(0, -1).map((span) => <AllColumns key={span.id} row={{ ...span.row }} title={`All columns, seen at the ${pointName(span.row.observation_point)}`} />)}
    </Drawer>
  );
}
