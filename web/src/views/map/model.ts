// From the API's nodes and edges to what the canvas draws: cards and links, with quiet services folded by kind.
import type { MapEdge, MapNode, NodeKind } from '../../api/types';

/** A card on the map: one node of the answer, or several folded ones. */
export interface Card {
  id: string;
  name: string;
  kind: NodeKind;
  /** More than one only for a folded card. */
  nodes: MapNode[];
  folded: boolean;
  /** What it serves. */
  requests: number;
  request_rate: number;
  error_ratio: number;
  p99_us: number | null;
  sparkline: number[];
  /** What it sends: the only figure of a pure client. */
  sent_rate: number;
  connections: number;
}

/** One arrow: all edges between two cards. */
export interface Link {
  id: string;
  client: string;
  server: string;
  protocols: string[];
  requests: number;
  request_rate: number;
  error_ratio: number;
  p99_us: number | null;
  connections: number;
}

export interface MapModel {
  cards: Card[];
  links: Link[];
}

/** The tag that names a service. */
export const DEFAULT_GROUP = 'auto_service';

/** `service` is another name of the same tag: it may be typed, but only one of them is offered. */
export const groupOf = (tag: string | undefined): string => (tag === undefined || tag === 'service' ? DEFAULT_GROUP : tag);

export const linkId = (client: string, server: string): string => `${client}→${server}`;
export const foldId = (kind: NodeKind): string => `+${kind}`;
export const KIND_NAMES: Record<NodeKind, [one: string, many: string]> = {
  client: ['client', 'clients'], proxy: ['gateway', 'gateways'], service: ['service', 'services'], store: ['store', 'stores'], world: ['outside', 'outside'],
};

const sum = <T>(items: T[], of: (item: T) => number): number => items.reduce((total, item) => total + of(item), 0);
const unique = (items: string[]): string[] => [...new Set(items)].sort();
const worst = (values: (number | null)[]): number | null => {
  const known = values.filter((v) => v !== null);
  return known.length ? Math.max(...known) : null;
};

/** Weighted by rate, since ten failures of ten weigh less than a thousand of a million. */
function errorRatio(items: { request_rate: number; error_ratio: number }[]): number {
  const rate = sum(items, (i) => i.request_rate);
  return rate > 0 ? sum(items, (i) => i.request_rate * i.error_ratio) / rate : 0;
}

function addSparklines(nodes: MapNode[]): number[] {
  const length = Math.max(0, ...nodes.map((n) => n.sparkline.length));
  return Array.from({ length }, (_, i) => sum(nodes, (n) => n.sparkline[i] ?? 0));
}

function cardOf(id: string, name: string, kind: NodeKind, nodes: MapNode[], folded: boolean): Card {
  return {
    id, name, kind, nodes, folded,
    requests: sum(nodes, (n) => n.requests), request_rate: sum(nodes, (n) => n.request_rate),
    error_ratio: errorRatio(nodes), p99_us: worst(nodes.map((n) => n.p99_us)), sparkline: addSparklines(nodes),
    sent_rate: 0, connections: 0,
  };
}

function linkOf(client: string, server: string, edges: MapEdge[]): Link {
  return {
    id: linkId(client, server), client, server, protocols: unique(edges.flatMap((e) => e.protocols)),
    requests: sum(edges, (e) => e.requests), request_rate: sum(edges, (e) => e.request_rate),
    error_ratio: errorRatio(edges), p99_us: worst(edges.map((e) => e.p99_us)), connections: sum(edges, (e) => e.connections),
  };
}

function linksOf(edges: MapEdge[], cardOfNode: (node: string) => string): Link[] {
  const groups = new Map<string, { client: string; server: string; edges: MapEdge[] }>();
  for (const edge of edges) {
    const client = cardOfNode(edge.client);
    const server = cardOfNode(edge.server);
    // Calls within one folded card are its own business; a node that calls itself is shown.
    if (client === server && edge.client !== edge.server) continue;
    const id = linkId(client, server);
    const group = groups.get(id) ?? { client, server, edges: [] };
    group.edges.push(edge);
    groups.set(id, group);
  }
  return [...groups.values()].map((g) => linkOf(g.client, g.server, g.edges)).sort((a, b) => a.id.localeCompare(b.id));
}

/** `shown` null means that nothing is folded. Sorted by name, so that the layout sees the same order every time. */
export function buildModel(nodes: MapNode[], edges: MapEdge[], shown: Set<string> | null): MapModel {
  const visible = nodes.filter((n) => !shown || shown.has(n.id)).sort((a, b) => a.id.localeCompare(b.id));
  const cards = visible.map((n) => cardOf(n.id, n.name, n.kind, [n], false));
  const foldedBy = new Map<string, string>();
  for (const kind of Object.keys(KIND_NAMES) as NodeKind[]) {
    const hidden = shown ? nodes.filter((n) => n.kind === kind && !shown.has(n.id)) : [];
    if (hidden.length === 0) continue;
    hidden.forEach((n) => foldedBy.set(n.id, foldId(kind)));
    const more = shown && nodes.some((n) => n.kind === kind && shown.has(n.id)) ? 'more ' : '';
    cards.push(cardOf(foldId(kind), `+${hidden.length} ${more}${KIND_NAMES[kind][hidden.length === 1 ? 0 : 1]}`, kind, hidden, true));
  }
  const known = new Set(nodes.map((n) => n.id));
  const links = linksOf(edges.filter((e) => known.has(e.client) && known.has(e.server)), (node) => foldedBy.get(node) ?? node);
  for (const card of cards) {
    const sent = links.filter((l) => l.client === card.id);
    card.sent_rate = sum(sent, (l) => l.request_rate);
    card.connections = sum(links.filter((l) => l.client === card.id || l.server === card.id), (l) => l.connections);
  }
  return { cards, links };
}
