// What the drawer shows for the selection: a service, a call between two, the members of a fold; else
// the worst requests, if they are asked for.
import type { ServiceMap } from '../../api/types';
import { CallDrawer } from './CallDrawer';
import { FoldDrawer } from './FoldDrawer';
import type { MapModel } from './model';
import { NodeDrawer } from './NodeDrawer';
import type { MapSelection } from './useSelection';
import { WorstDrawer } from './WorstDrawer';

interface Props {
  data: ServiceMap;
  model: MapModel;
  groupBy: string;
  selection: MapSelection;
}

export function MapDrawer({ data, model, groupBy, selection }: Props) {
  if (selection.edge) {
    const { client, server } = selection.edge;
    const edge = data.edges.find((e) => e.client === client && e.server === server);
    return <CallDrawer key={`${client}→${server}`} client={client} server={server} edge={edge} groupBy={groupBy} selection={selection} />;
  }
  if (selection.node !== null) {
    const name = selection.node;
    return <NodeDrawer key={name} name={name} node={data.nodes.find((n) => n.name === name)} groupBy={groupBy} selection={selection} />;
  }
  const fold = selection.folded !== null && model.cards.find((c) => c.id === selection.folded && c.folded);
  if (fold) return <FoldDrawer fold={fold} selection={selection} />;
  return selection.worst ? <WorstDrawer /> : null;
}
