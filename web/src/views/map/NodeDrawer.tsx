import { useMapDetail } from '../../api/queries';
import type { MapNode } from '../../api/types';
import { Drawer, Section } from '../../components/Drawer';
import { Icon } from '../../components/Icon';
import { Failure, SkeletonRows } from '../../components/states/States';
import { Value } from '../../components/Value';
import { useRange, useSearchState } from '../../state/useUrl';
import { serviceColour } from '../../theme/serviceColour';
import { EndpointTable, InstanceTable, PeerTable } from './DetailTables';
import { Figures, RedCharts, RequestsLink } from './Red';
import { KIND_NAMES } from './model';
import type { MapSelection } from './useSelection';

interface Props {
  name: string;
  /** Undefined when the selected service was not seen in this range. */
  node: MapNode | undefined;
  groupBy: string;
  selection: MapSelection;
}

export function NodeDrawer({ name, node, groupBy, selection }: Props) {
  const { range } = useRange();
  const filter = useSearchState().filter ?? '';
  const query = useMapDetail({ range, filter }, groupBy, { server: name });
  const detail = query.data;
  const subtitle = node ? [KIND_NAMES[node.kind][0], ...node.protocols].join(' · ') : 'not seen in this range';
  const title = <><Icon name={node?.kind ?? 'service'} colour={serviceColour(name)} /><Value tag={groupBy} value={name} /></>;
  return (
    <Drawer label={`Service ${name}`} title={title} subtitle={subtitle} onClose={selection.clear} takeFocus>
      {node && node.requests > 0 && <Figures of={node} />}
      <RequestsLink terms={[[`${groupBy}_1`, name]]} label="Requests it served" other={{ terms: [[`${groupBy}_0`, name]], label: 'Requests it sent' }} />
      {query.error && !detail ? <Failure error={query.error} retry={() => void query.refetch()} what="The details" /> : !detail ? <SkeletonRows rows={9} height={22} /> : (
        <>
          {detail.series.some((p) => p.request_rate > 0) && <RedCharts series={detail.series} />}
          {detail.endpoints.length > 0 && <Section title="Endpoints"><EndpointTable endpoints={detail.endpoints} /></Section>}
          {detail.callers.length > 0 && <Section title="Called by"><PeerTable peers={detail.callers} open={(peer) => selection.selectEdge(peer, name)} /></Section>}
          {detail.callees.length > 0 && <Section title="Calls"><PeerTable peers={detail.callees} open={(peer) => selection.selectEdge(name, peer)} /></Section>}
          {detail.instances.length > 0 && <Section title="Instances"><InstanceTable instances={detail.instances} /></Section>}
        </>
      )}
    </Drawer>
  );
}
