// Parts of the map that no link joins: each is laid out on its own, and they are set in shelves, the largest first, so
// that what belongs together stands together.
import { groupBy } from './groupBy';
import type { Point } from './layout';
import type { MapModel } from './model';

/** Callers outside of which no request was seen: they touch everything that has a port, and join nothing but the first. */
function looseEnds({ cards, links }: MapModel): Set<string> {
  const busy = new Set(links.flatMap((l) => (l.requests > 0 ? [l.client, l.server] : [l.server])));
  return new Set(cards.filter((c) => c.kind === 'world' && !busy.has(c.id)).map((c) => c.id));
}

/** Sorted by number of cards and then by name: figures, which change, have no say. */
export function islandsOf(model: MapModel): MapModel[] {
  const parent = new Map(model.cards.map((card) => [card.id, card.id]));
  const find = (id: string): string => {
    let root = id;
    while (parent.get(root) !== root) root = parent.get(root)!;
    parent.set(id, root);
    return root;
  };
  const loose = looseEnds(model);
  const joined = new Set<string>();
  for (const link of model.links) {
    if (loose.has(link.client) && joined.has(link.client)) continue;
    joined.add(link.client);
    parent.set(find(link.client), find(link.server));
  }
  const links = groupBy(model.links.filter((link) => find(link.client) === find(link.server)), (link) => find(link.client));
  const islands = [...groupBy(model.cards, (card) => find(card.id))].map(([root, cards]) => ({ cards, links: links.get(root) ?? [] }));
  const first = (island: MapModel): string => island.cards[0]!.id;
  return islands.sort((a, b) => b.cards.length - a.cards.length || b.links.length - a.links.length || first(a).localeCompare(first(b)));
}

export interface Box {
  width: number;
  height: number;
}

interface Shelf {
  top: number;
  used: number;
  height: number;
}

/** Top left corners. `step` is the grid of columns that all islands share, of which `spare` ones stay free between two. */
export function shelve(boxes: Box[], room: number, step: number, spare: number, gap: number): Point[] {
  const most = Math.max(room, ...boxes.map((box) => box.width));
  const shelves: Shelf[] = [];
  return boxes.map((box) => {
    const bottom = shelves.length === 0 ? 0 : shelves.at(-1)!.top + shelves.at(-1)!.height + gap;
    const fitting = shelves.find((shelf) => shelf.used + box.width <= most && box.height <= shelf.height);
    const shelf = fitting ?? { top: bottom, used: 0, height: box.height };
    if (!fitting) shelves.push(shelf);
    const x = shelf.used;
    shelf.used = (Math.ceil((x + box.width + 1) / step) + spare) * step;
    return { x, y: shelf.top };
  });
}
