import { useMapDetail } from '../../api/queries';
import type { MapEdge } from '../../api/types';
import { Drawer, Section } from '../../components/Drawer';
import { Failure, SkeletonRows } from '../../components/states/States';
import { pointName } from '../../format/points';
import { bytes, connections, count } from '../../format/units';
import { useRange, useSearchState } from '../../state/useUrl';
import { serviceColour } from '../../theme/serviceColour';
import { EndpointTable } from './DetailTables';
import { Figures, RedCharts, RequestsLink } from './Red';
import type { MapSelection } from './useSelection';

interface Props {
  client: string;
  server: string;
  edge: MapEdge | undefined;
  groupBy: string;
  selection: MapSelection;
}

function End({ name, open }: { name: string; open: () => void }) {
  return <button className="link" style={{ color: serviceColour(name) }} onClick={open} title={`Open ${name}`}>{name}</button>;
}

function ErrorKinds({ edge }: { edge: MapEdge }) {
  const kinds: [string, number][] = [['client errors', edge.client_errors], ['server errors', edge.server_errors], ['timeouts', edge.timeouts]];
  const seen = kinds.filter(([, n]) => n > 0);
  return (
    <dl className="facts">
      {seen.length > 0 && <><dt>Errors</dt><dd className="error-text">{seen.map(([name, n]) => `${count(n)} ${name}`).join(' · ')}</dd></>}
      <dt>New connections</dt><dd>{count(edge.connections)}</dd>
      <dt>Traffic</dt><dd>{bytes(edge.bytes_rate)}/s</dd>
      <dt>Seen at</dt><dd title={edge.observation_point}>{pointName(edge.observation_point) || 'unknown'}</dd>
    </dl>
  );
}

export function CallDrawer({ client, server, edge, groupBy, selection }: Props) {
  const { range } = useRange();
  const filter = useSearchState().filter ?? '';
  const query = useMapDetail({ range, filter }, groupBy, { client, server });
  const detail = query.data;
  const title = <><End name={client} open={() => selection.selectNode(client)} /><span className="muted">→</span><End name={server} open={() => selection.selectNode(server)} /></>;
  const onlyConnections = edge !== undefined && edge.requests === 0;
  const subtitle = !edge ? 'not seen in this range' : onlyConnections ? `${connections(edge.connections)}, no request was recognised` : edge.protocols.join(' · ');
  return (
    <Drawer label={`Calls from ${client} to ${server}`} title={title} subtitle={subtitle} onClose={selection.clear} takeFocus>
      {edge && !onlyConnections && <Figures of={edge} />}
      {!onlyConnections && <RequestsLink terms={[[`${groupBy}_0`, client], [`${groupBy}_1`, server]]} label="Requests of this call" />}
      {onlyConnections && <p className="muted section">Bytes flow, but their protocol is not known or they are encrypted. The Agents page says what each agent can read.</p>}
      {query.error && !detail ? <Failure error={query.error} retry={() => void query.refetch()} what="The details" /> : !detail ? <SkeletonRows rows={8} height={22} /> : (
        <>
          {!onlyConnections && detail.series.length > 0 && <RedCharts series={detail.series} />}
          {edge && <Section title="Totals in this range"><ErrorKinds edge={edge} /></Section>}
          {detail.endpoints.length > 0 && <Section title="Endpoints"><EndpointTable endpoints={detail.endpoints} /></Section>}
        </>
      )}
    </Drawer>
  );
}
