// Which services get a card of their own when there are too many to read. The busiest and the failing ones do,
// within a quota per kind; the choice has inertia, so that two services of equal rate do not swap every refresh.
import type { MapEdge, MapNode, NodeKind } from '../../api/types';

/** From this many on the map folds. */
export const FOLD_FROM = 60;

/** Cards per kind: about what fits on one screen at full text size. */
export const QUOTA: Record<NodeKind, number> = { client: 8, proxy: 8, service: 18, store: 6, world: 3 };

/** A hidden service must outrank a shown one by this factor to take its place. */
const INERTIA = 1.5;

/** An error per second counts as this many requests: failing services come to the front. */
const ERROR_WEIGHT = 10;

function importance(nodes: MapNode[], edges: MapEdge[]): Map<string, number> {
  const score = new Map(nodes.map((n) => [n.id, n.request_rate * (1 + ERROR_WEIGHT * n.error_ratio)]));
  for (const edge of edges) score.set(edge.client, (score.get(edge.client) ?? 0) + edge.request_rate);
  return score;
}

/** Null when everything is shown. `pinned` (the selection) is always shown; `previous` is favoured. */
export function chooseShown(nodes: MapNode[], edges: MapEdge[], pinned: string[], previous: Set<string> | null): Set<string> | null {
  if (nodes.length < FOLD_FROM) return null;
  const score = importance(nodes, edges);
  const rank = (n: MapNode): number => (score.get(n.id) ?? 0) * (previous?.has(n.id) ? INERTIA : 1);
  const shown = new Set(pinned.filter((id) => nodes.some((n) => n.id === id)));
  for (const [kind, quota] of Object.entries(QUOTA)) {
    const best = nodes.filter((n) => n.kind === kind).sort((a, b) => rank(b) - rank(a) || a.id.localeCompare(b.id));
    // A fold of one would take the room of the card that it hides.
    const take = best.length === quota + 1 ? quota + 1 : quota;
    best.slice(0, take).forEach((n) => shown.add(n.id));
  }
  return shown;
}
