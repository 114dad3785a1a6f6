// Which links carry a label without being asked: failing ones first, then the busiest, as long as none overlap.
import type { CardSize, Point } from './layout';
import type { Link } from './model';

/** Rate and errors, one above the other. */
export const LABEL = { width: 96, height: 36 };
const ALWAYS_BELOW = 12;
const AT_MOST = 8;

const overlaps = (a: Point, b: Point): boolean => Math.abs(a.x - b.x) < LABEL.width && Math.abs(a.y - b.y) < LABEL.height;

const weight = (link: Link): number => link.request_rate * (1 + 20 * link.error_ratio);

/** What of a label must stay in sight: its figure, not the blanks around it. */
const CORE = { x: 28, y: 9 };

/** Whether a label at a point would be hidden by a card. */
export function covered(point: Point, places: Iterable<Point>, size: CardSize): boolean {
  for (const { x, y } of places) {
    const across = point.x + CORE.x > x && point.x - CORE.x < x + size.width;
    if (across && point.y + CORE.y > y && point.y - CORE.y < y + size.height) return true;
  }
  return false;
}

/** `candidates` are the links that may carry one. */
export function chooseLabels(candidates: Link[], at: (link: Link) => Point): Set<string> {
  const most = candidates.length < ALWAYS_BELOW ? candidates.length : AT_MOST;
  const placed: Point[] = [];
  const chosen = new Set<string>();
  for (const link of [...candidates].sort((a, b) => weight(b) - weight(a) || a.id.localeCompare(b.id))) {
    if (chosen.size >= most) break;
    const point = at(link);
    if (placed.some((p) => overlaps(p, point))) continue;
    placed.push(point);
    chosen.add(link.id);
  }
  return chosen;
}
