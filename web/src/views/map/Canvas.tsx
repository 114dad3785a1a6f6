// The drawing: React Flow pans, zooms and drags; what stands where is decided by usePlaces.
import { ReactFlow, ReactFlowProvider, type NodeChange } from '@xyflow/react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { chooseLabels, covered } from './labels';
import { sizeOf, type Direction } from './layout';
import { CallEdge, type CallEdgeType } from './CallEdge';
import { ServiceCard, type CardNode } from './ServiceCard';
import type { Link, MapModel } from './model';
import { shapeOf } from './path';
import { useFit, ZOOM } from './useFit';
import { usePlaces, type PlacesState } from './usePlaces';
import { brightParts, type MapSelection } from './useSelection';
import { MapControls } from './MapControls';

interface Props {
  model: MapModel;
  groupBy: string;
  /** When this changes, another map is shown, and the view goes back to its start. */
  scope: string;
  selection: MapSelection;
}

const nodeTypes = { card: ServiceCard };
const edgeTypes = { call: CallEdge };

/** From this many cards on each one is drawn smaller in height, never in text size. */
const COMPACT_FROM = 24;
/** From this many links on, those without a label are drawn as a mere texture. */
const HAIR_FROM = 160;
/** Tab goes through the links of what is selected; without a selection through all, up to this many. */
const TAB_TO = 40;
const NARROW = 640;

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(window.innerWidth < NARROW);
  useEffect(() => {
    const onResize = (): void => setNarrow(window.innerWidth < NARROW);
    window.addEventListener('resize', onResize);
    return () => window.removeEventListener('resize', onResize);
  }, []);
  return narrow;
}

function useNodes(model: MapModel, placing: PlacesState, compact: boolean, selection: MapSelection, bright: Set<string> | null): CardNode[] {
  const size = sizeOf(compact);
  const busiest = Math.max(...model.cards.map((c) => (c.folded ? 0 : c.request_rate)), 0);
  return model.cards.map((card) => ({
    id: card.id, type: 'card' as const, position: placing.places.get(card.id) ?? { x: 0, y: 0 },
    ...size, measured: size, selectable: false, focusable: false, connectable: false,
    data: {
      card, compact,
      selected: card.id === selection.node || card.id === selection.folded,
      dim: bright !== null && !bright.has(card.id),
      quiet: compact && !card.folded && card.error_ratio < 0.05 && card.request_rate + card.sent_rate < busiest / 50,
      open: () => (card.folded ? selection.selectFold(card.id) : selection.selectNode(card.id)),
    },
  }));
}

function useEdges(model: MapModel, placing: PlacesState, compact: boolean, direction: Direction, selection: MapSelection, bright: Set<string> | null): CallEdgeType[] {
  const size = sizeOf(compact);
  const { places, layout, moved, moving } = placing;
  const shaped = model.links.map((link) => {
    const free = moving || moved.has(link.client) || moved.has(link.server);
    const via = free ? [] : (layout.routes.get(link.id) ?? []);
    const shape = shapeOf(places.get(link.client)!, places.get(link.server)!, size, via, direction);
    return { link, shape };
  });
  const at = new Map(shaped.map(({ link, shape }) => [link.id, shape.label]));
  const folded = new Set(model.cards.filter((c) => c.folded).map((c) => c.id));
  // Where cards stand closely, a line may run beneath one.
  const hidden = (link: Link): boolean => compact && covered(at.get(link.id)!, places.values(), size);
  const telling = model.links.filter((l) => !folded.has(l.client) && !folded.has(l.server) && !hidden(l));
  // Stacked rows on a narrow screen leave no room beside their links.
  const labelled = chooseLabels(compact && direction === 'down' ? [] : telling, (link) => at.get(link.id)!);
  const selected = selection.edge && `${selection.edge.client}→${selection.edge.server}`;
  return shaped.map(({ link, shape }) => ({
    id: link.id, type: 'call' as const, source: link.client, target: link.server, selectable: false, focusable: false,
    data: {
      link, shape, labelled: labelled.has(link.id), faded: model.links.length > 40 && (folded.has(link.client) || folded.has(link.server) || !labelled.has(link.id)), hair: (folded.has(link.client) && folded.has(link.server)) || (model.links.length > HAIR_FROM && !labelled.has(link.id)), selected: link.id === selected,
      dim: bright !== null && !bright.has(link.id), lit: bright !== null && bright.has(link.id),
      reachable: bright ? bright.has(link.id) : model.links.length <= TAB_TO,
      open: () => selection.selectEdge(link.client, link.server),
    },
  }));
}

function Flow({ model, groupBy, scope, selection }: Props) {
  const direction: Direction = useNarrow() ? 'down' : 'right';
  const compact = model.cards.length >= COMPACT_FROM;
  const placing = usePlaces(model, groupBy, direction, compact);
  const box = useRef<HTMLDivElement>(null);
  const selectedCard = selection.edge?.server ?? selection.node ?? selection.folded;
  const { fit, onUserMove } = useFit(box, placing, `${scope}/${direction}`, selectedCard, sizeOf(compact));
  const bright = useMemo(() => brightParts(selection, model.links), [selection, model.links]);
  const nodes = useNodes(model, placing, compact, selection, bright);
  const edges = useEdges(model, placing, compact, direction, selection, bright);
  const onNodesChange = (changes: NodeChange<CardNode>[]): void => {
    for (const change of changes) if (change.type === 'position' && change.dragging && change.position) placing.move(change.id, change.position);
  };
  return (
    <div className="canvas" ref={box}>
      <ReactFlow
        nodes={nodes} edges={edges} nodeTypes={nodeTypes} edgeTypes={edgeTypes} onNodesChange={onNodesChange}
        minZoom={ZOOM.min} maxZoom={ZOOM.max} nodesFocusable={false} edgesFocusable={false} elementsSelectable={false} nodesConnectable={false}
        nodeDragThreshold={4} deleteKeyCode={null} selectionKeyCode={null} disableKeyboardA11y panOnScroll zoomOnDoubleClick={false}
        onPaneClick={selection.clear} onMoveStart={(event) => event && onUserMove()} proOptions={{ hideAttribution: true }}
        aria-label="Service map"
      />
      <MapControls fit={fit} moved={placing.moved.size > 0} reset={placing.reset} />
    </div>
  );
}

export function Canvas(props: Props) {
  return <ReactFlowProvider><Flow {...props} /></ReactFlowProvider>;
}
