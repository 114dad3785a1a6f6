// Dense columns for large maps: cards of one rank stand closely, in the given order, folded cards last. What does not
// fit one column goes into another beside it.
import { groupBy } from './groupBy';
import type { CardSize, Direction, Point } from './layout';
import type { Card } from './model';

/** Cards per column, and per row on narrow screens, where rows of two fit the width. */
const PER_LINE: Record<Direction, number> = { right: 11, down: 2 };
const CARD_GAP: Record<Direction, number> = { right: 16, down: 14 };
/** Between two ranks there must be room for links; between two lines of the same rank there is less to see. */
const RANK_GAP: Record<Direction, number> = { right: 90, down: 46 };
const LINE_GAP: Record<Direction, number> = { right: 30, down: 14 };

function linesOf(cards: Card[], order: (card: Card) => number, direction: Direction): Card[][] {
  const sorted = [...cards].sort((a, b) => Number(a.folded) - Number(b.folded) || order(a) - order(b));
  const lines = Math.ceil(sorted.length / PER_LINE[direction]);
  const per = Math.ceil(sorted.length / lines);
  return Array.from({ length: lines }, (_, i) => sorted.slice(i * per, (i + 1) * per));
}

export function stack(cards: Card[], ranks: Map<string, number>, centers: Map<string, Partial<Point>>, direction: Direction, size: CardSize): Map<string, Point> {
  const down = direction === 'down';
  const [along, across] = down ? [size.height, size.width] : [size.width, size.height];
  const order = (card: Card): number => centers.get(card.id)?.[down ? 'x' : 'y'] ?? 0;
  const groups = [...groupBy(cards, (c) => ranks.get(c.id) ?? 0)].sort(([a], [b]) => a - b);
  const positions = new Map<string, Point>();
  let start = 0;
  for (const [, group] of groups) {
    const lines = linesOf(group, order, direction);
    for (const [l, line] of lines.entries()) {
      const length = line.length * across + (line.length - 1) * CARD_GAP[direction];
      line.forEach((card, i) => {
        const offset = Math.round(-length / 2 + i * (across + CARD_GAP[direction]));
        positions.set(card.id, down ? { x: offset, y: start } : { x: start, y: offset });
      });
      start += along + (l < lines.length - 1 ? LINE_GAP[direction] : RANK_GAP[direction]);
    }
  }
  return positions;
}
