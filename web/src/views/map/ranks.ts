// The column of each card: callers left of what they call, stores and the outside world in the last column.
import type { NodeKind } from '../../api/types';
import { groupBy } from './groupBy';
import type { Card, MapModel } from './model';

const ORDER: Record<NodeKind, number> = { client: 0, proxy: 1, service: 2, store: 3, world: 3 };

/** Edges that close a cycle, found by walking depth first from the cards that come first by kind. */
function backLinks({ cards, links }: MapModel): Set<string> {
  const out = groupBy(links, (l) => l.client);
  const state = new Map<string, 'open' | 'done'>();
  const back = new Set<string>();
  const visit = (id: string): void => {
    state.set(id, 'open');
    for (const link of out.get(id) ?? []) {
      const seen = state.get(link.server);
      if (seen === 'open') back.add(link.id);
      else if (!seen) visit(link.server);
    }
    state.set(id, 'done');
  };
  const starts = [...cards].sort((a, b) => ORDER[a.kind] - ORDER[b.kind] || Number(a.folded) - Number(b.folded));
  starts.forEach((card) => state.has(card.id) || visit(card.id));
  return back;
}

/** Longest path from the left: the columns of everything but stores and the outside. */
function longestPaths(model: MapModel, movable: Set<string>): Map<string, number> {
  const back = backLinks(model);
  const forward = model.links.filter((l) => !back.has(l.id) && movable.has(l.client) && movable.has(l.server));
  const into = groupBy(forward, (l) => l.server);
  const ranks = new Map<string, number>();
  const rank = (id: string): number => {
    const known = ranks.get(id);
    if (known !== undefined) return known;
    // Guards against a cycle that is closed only through links left out above.
    ranks.set(id, 0);
    const value = Math.max(0, ...(into.get(id) ?? []).map((l) => rank(l.client) + 1));
    ranks.set(id, value);
    return value;
  };
  movable.forEach(rank);
  return ranks;
}

/** Two columns of services at most: those that the outside calls, and those behind them. */
function serviceColumns(model: MapModel): Map<string, number> {
  const services = model.cards.filter((c) => c.kind === 'service' && !c.folded).map((c) => c.id);
  const front = new Set(model.cards.filter((c) => ORDER[c.kind] < 2).map((c) => c.id));
  const own = new Set(services);
  const score = (id: string): number =>
    model.links.reduce((n, l) => n + (l.server === id && front.has(l.client) ? 2 : 0) + (l.client === id && own.has(l.server) ? 1 : 0) - (l.server === id && own.has(l.client) ? 1 : 0), 0);
  const scores = new Map(services.map((id) => [id, score(id)]));
  const sorted = [...services].sort((a, b) => scores.get(b)! - scores.get(a)! || a.localeCompare(b));
  return new Map(sorted.map((id, i) => [id, i < Math.ceil(sorted.length / 2) ? 2 : 3]));
}

/** A folded map has lost the links that paths are made of, so its columns follow kinds alone. */
function rankByKind(model: MapModel): Map<string, number> {
  const services = serviceColumns(model);
  const last: Record<NodeKind, number> = { client: 0, proxy: 1, service: 3, store: 4, world: 4 };
  return new Map(model.cards.map((c) => [c.id, services.get(c.id) ?? last[c.kind]]));
}

/** More columns than this come from cards that call each other in circles, not from layers. */
const MOST_COLUMNS = 8;

/** Calls away from the nearest start: few columns even where everything calls everything. */
function shortestPaths(model: MapModel, movable: Set<string>): Map<string, number> {
  const called = new Set(model.links.filter((l) => l.client !== l.server).map((l) => l.server));
  const cards = model.cards.filter((c) => movable.has(c.id)).sort((a, b) => ORDER[a.kind] - ORDER[b.kind]);
  const starts = cards.filter((c) => !called.has(c.id) || c.kind === 'client').map((c) => c.id);
  const ranks = new Map<string, number>();
  let wave = starts.length > 0 ? starts : cards.slice(0, 1).map((c) => c.id);
  for (let rank = 0; wave.length > 0; rank++) {
    wave.forEach((id) => ranks.set(id, rank));
    const reached = new Set(wave);
    wave = [...new Set(model.links.filter((l) => reached.has(l.client)).map((l) => l.server))].filter((id) => movable.has(id) && !ranks.has(id));
  }
  cards.forEach((c) => ranks.has(c.id) || ranks.set(c.id, 0));
  return ranks;
}

function rankByPath(model: MapModel): Map<string, number> {
  const called = new Set(model.links.filter((l) => l.client !== l.server).map((l) => l.server));
  const calls = new Set(model.links.map((l) => l.client));
  // An address outside that only calls is a client, whatever else it may be.
  const isEnd = (c: Card): boolean => ORDER[c.kind] === 3 && (called.has(c.id) || !calls.has(c.id));
  const movable = new Set(model.cards.filter((c) => !isEnd(c)).map((c) => c.id));
  const longest = longestPaths(model, movable);
  const ranks = Math.max(0, ...longest.values()) < MOST_COLUMNS ? longest : shortestPaths(model, movable);
  const last = Math.max(0, ...ranks.values());
  for (const card of model.cards) {
    if (isEnd(card)) ranks.set(card.id, ranks.size === 0 || !called.has(card.id) ? last : last + 1);
  }
  return ranks;
}

export const rankCards = (model: MapModel): Map<string, number> => (model.cards.some((c) => c.folded) ? rankByKind(model) : rankByPath(model));
