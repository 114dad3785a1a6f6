// Which links carry a label without being asked: failing ones first, then the busiest, as long as none overlap.
import type { Point } from './layout';
import type { Link } from './model';

/** Rate and errors, one above the other. */
export const LABEL = { width: 96, height: 36 };
const ALWAYS_BELOW = 12;
const AT_MOST = 8;

const overlaps = (a: Point, b: Point): boolean => Math.abs(a.x - b.x) < LABEL.width && Math.abs(a.y - b.y) < LABEL.height;

const weight = (link: Link): number => link.request_rate * (1 + 20 * link.error_ratio);

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
