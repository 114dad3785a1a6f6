// Where cards stand and which way links take between them. Pure: the same cards and links give the same picture.
import { graphlib, layout as dagreLayout, type GraphLabel } from '@dagrejs/dagre';
import type { MapModel } from './model';
import { islandsOf, shelve } from './islands';
import { rankCards } from './ranks';
import { stack } from './stack';

export interface Point {
  x: number;
  y: number;
}

/** `right`: columns from left to right. `down`: rows from top to bottom, for narrow screens. */
export type Direction = 'right' | 'down';

export interface CardSize {
  width: number;
  height: number;
}

export interface Layout {
  /** Top left corners. */
  positions: Map<string, Point>;
  /** Points between the two ends, in the direction of the call. */
  routes: Map<string, Point[]>;
}

export const sizeOf = (compact: boolean): CardSize => (compact ? { width: 184, height: 52 } : { width: 180, height: 80 });

/** Changes exactly when cards or links come or go: figures that move do not move cards. */
export const signatureOf = (model: MapModel, direction: Direction): string =>
  [direction, ...model.cards.map((c) => c.id), '|', ...model.links.map((l) => (l.requests > 0 ? l.id : `${l.id} silent`))].join('\n');

/** Room for the arch of a service that calls itself. */
const ISLAND_GAP = 62;

function spacing(columns: number, compact: boolean, direction: Direction): Partial<GraphLabel> {
  if (direction === 'down') return { rankdir: 'TB', nodesep: 16, ranksep: 56, edgesep: 8 };
  if (compact) return { rankdir: 'LR', nodesep: 8, ranksep: 40, edgesep: 1 };
  return { rankdir: 'LR', nodesep: 36, ranksep: columns <= 4 ? 140 : 96, edgesep: 12 };
}

function graphOf(model: MapModel, ranks: Map<string, number>, size: CardSize, options: object): graphlib.Graph {
  const graph = new graphlib.Graph({ multigraph: true });
  // Ranks are decided already. They are doubled because dagre keeps a rank between columns for edge labels.
  const ranker = (g: graphlib.Graph): void => g.nodes().forEach((v: string) => void ((g.node(v) as { rank: number }).rank = ranks.has(v) ? 2 * ranks.get(v)! + 2 : 0));
  graph.setGraph({ ...options, ranker } as unknown as GraphLabel);
  graph.setDefaultEdgeLabel(() => ({}));
  model.cards.forEach((card) => graph.setNode(card.id, { ...size }));
  for (const link of model.links) {
    const [a, b] = [ranks.get(link.client)!, ranks.get(link.server)!];
    // Within a column there is nothing to lay out; against the flow the edge is laid out the other way round.
    if (a === b) continue;
    graph.setEdge(a < b ? link.client : link.server, a < b ? link.server : link.client, { weight: 1 }, link.id);
  }
  return graph;
}

const corner = (center: Partial<Point>, size: CardSize): Point => ({ x: Math.round((center.x ?? 0) - size.width / 2), y: Math.round((center.y ?? 0) - size.height / 2) });

function routesOf(graph: graphlib.Graph, model: MapModel, ranks: Map<string, number>): Map<string, Point[]> {
  const links = new Map(model.links.map((l) => [l.id, l]));
  const routes = new Map<string, Point[]>();
  for (const edge of graph.edges()) {
    const points = ((graph.edge(edge) as { points?: Point[] }).points ?? []).slice(1, -1);
    const link = links.get(edge.name ?? '')!;
    routes.set(link.id, ranks.get(link.client)! < ranks.get(link.server)! ? points : points.reverse());
  }
  return routes;
}

/** What is free for islands beside each other: columns on a wide screen, two cards on a phone. */
const SHELF: Record<Direction, (size: CardSize, step: number) => number> = {
  right: (size, step) => 4 * step + size.width,
  down: (size, step) => step + size.width,
};

const boundsOf = (places: Map<string, Point>, size: CardSize) => {
  const all = [...places.values()];
  const [x, y] = [Math.min(...all.map((p) => p.x)), Math.min(...all.map((p) => p.y))];
  return { x, y, width: Math.max(...all.map((p) => p.x)) + size.width - x, height: Math.max(...all.map((p) => p.y)) + size.height - y };
};

function layoutIsland(model: MapModel, columns: number, direction: Direction, size: CardSize): Layout {
  const ranks = rankCards(model);
  const graph = graphOf(model, ranks, size, { ...spacing(columns, false, direction), marginx: 0, marginy: 0 });
  dagreLayout(graph);
  const positions = new Map(model.cards.map((card) => [card.id, corner(graph.node(card.id) as Partial<Point>, size)]));
  return { positions, routes: routesOf(graph, model, ranks) };
}

function layoutIslands(model: MapModel, direction: Direction, size: CardSize): Layout {
  const parts = islandsOf(model);
  const columns = Math.max(...parts.map((part) => new Set(rankCards(part).values()).size), 0);
  const { nodesep = 0, ranksep = 0 } = spacing(columns, false, direction);
  const step = size.width + (direction === 'right' ? ranksep : nodesep);
  const islands = parts.map((part) => layoutIsland(part, columns, direction, size));
  const bounds = islands.map((island) => boundsOf(island.positions, size));
  const corners = shelve(bounds, SHELF[direction](size, step), step, direction === 'right' ? 1 : 0, ISLAND_GAP);
  const all: Layout = { positions: new Map(), routes: new Map() };
  islands.forEach((island, i) => {
    const move = (p: Point): Point => ({ x: p.x - bounds[i]!.x + corners[i]!.x, y: p.y - bounds[i]!.y + corners[i]!.y });
    island.positions.forEach((p, id) => all.positions.set(id, move(p)));
    island.routes.forEach((points, id) => all.routes.set(id, points.map(move)));
  });
  return all;
}

/** Of a large map only the order within columns is taken, which has few crossings; its places would be far apart. */
function layoutDense(model: MapModel, direction: Direction, size: CardSize): Layout {
  const ranks = rankCards(model);
  const graph = graphOf(model, ranks, size, { ...spacing(new Set(ranks.values()).size, true, direction), marginx: 0, marginy: 0 });
  dagreLayout(graph);
  const centers = new Map(model.cards.map((card) => [card.id, graph.node(card.id) as Partial<Point>]));
  return { positions: stack(model.cards, ranks, centers, direction, size), routes: new Map() };
}

export const layoutMap = (model: MapModel, direction: Direction, compact: boolean): Layout =>
  (compact ? layoutDense : layoutIslands)(model, direction, sizeOf(compact));
