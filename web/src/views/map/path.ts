// The shape of a link between two cards, as an SVG path, with the place of its label and its arrow.
import type { CardSize, Direction, Point } from './layout';

export interface Shape {
  d: string;
  label: Point;
  /** From the label's point on the line to where its text stands beside it. */
  lift: Point;
  /** Whether there is room for text on the other side of the line, too. */
  twoSided: boolean;
  tip: Point;
  /** Degrees, 0 points right. */
  angle: number;
}

interface Ends {
  from: Point;
  to: Point;
  /** 1 when the link runs with the layout's direction, -1 against it, 0 within one column. */
  way: 1 | -1 | 0;
}

const ARROW = 7;

// Down is right with x and y exchanged, so that every shape is thought out once.
const flip = (p: Point): Point => ({ x: p.y, y: p.x });

/** The sides of two cards that face each other. */
function ends(a: Point, b: Point, size: CardSize): Ends {
  const middle = size.height / 2;
  if (b.x >= a.x + size.width) return { from: { x: a.x + size.width, y: a.y + middle }, to: { x: b.x, y: b.y + middle }, way: 1 };
  if (b.x + size.width <= a.x) return { from: { x: a.x, y: a.y + middle }, to: { x: b.x + size.width, y: b.y + middle }, way: -1 };
  return { from: { x: a.x + size.width, y: a.y + middle }, to: { x: b.x + size.width, y: b.y + middle }, way: 0 };
}

/** Smooth through all points, leaving and arriving along the layout's direction. */
function curve(points: Point[], write: (p: Point) => string): string {
  let d = `M${write(points[0]!)}`;
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1]!, points[i]!];
    const half = (b.x - a.x) / 2;
    d += `C${write({ x: a.x + half, y: a.y })} ${write({ x: b.x - half, y: b.y })} ${write(b)}`;
  }
  return d;
}

/** A line that bends on one side of its middle is level on the other: there text is clear of it. */
function labelPlace(before: Point, middle: Point, after: Point): Point {
  const isLevel = (p: Point): boolean => Math.abs(p.y - middle.y) < 1;
  if (isLevel(before) === isLevel(after)) return middle;
  const side = isLevel(after) ? after : before;
  return { x: middle.x + (side.x - middle.x) / 3, y: middle.y };
}

function loop(a: Point, size: CardSize, write: (p: Point) => string): Shape {
  const from = { x: a.x + size.width * 0.66, y: a.y };
  const to = { x: a.x + size.width * 0.34, y: a.y };
  const lift = 44;
  return {
    d: `M${write(from)}C${write({ x: from.x, y: a.y - lift })} ${write({ x: to.x, y: a.y - lift })} ${write({ x: to.x, y: to.y - ARROW + 1 })}`,
    label: { x: a.x + size.width / 2, y: a.y - lift * 0.72 }, lift: { x: 0, y: -10 }, twoSided: false, tip: to, angle: 90,
  };
}

/** `a` and `b` are top left corners, `via` the layout's points in between. */
export function shapeOf(a: Point, b: Point, size: CardSize, via: Point[], direction: Direction): Shape {
  const down = direction === 'down';
  const write = (p: Point): string => (down ? `${p.y.toFixed(1)} ${p.x.toFixed(1)}` : `${p.x.toFixed(1)} ${p.y.toFixed(1)}`);
  if (a.x === b.x && a.y === b.y) return loop(a, size, (p) => `${p.x.toFixed(1)} ${p.y.toFixed(1)}`);
  const box = down ? { width: size.height, height: size.width } : size;
  const { from, to, way } = down ? ends(flip(a), flip(b), box) : ends(a, b, box);
  const out = (p: Point): Point => (down ? flip(p) : p);
  const angle = (way === 1 ? 0 : 180) + (down ? (way === 1 ? 90 : -90) : 0);
  if (way === 0) return bulge(from, to, write, out, angle);
  const inner = (down ? via.map(flip) : via).filter((p) => (p.x - from.x) * way > 4 && (to.x - p.x) * way > 4);
  const stop = { x: to.x - way * (ARROW - 1), y: to.y };
  const middle = inner[0] ?? { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  const label = down ? middle : labelPlace(from, middle, inner[1] ?? to);
  // Beside a line that runs down there is room only on top of it: names would not fit next to each other.
  return { d: curve([from, ...inner, stop], write), label: out(label), lift: down ? { x: 0, y: 0 } : { x: 0, y: -12 }, twoSided: !down, tip: out(to), angle };
}

/** Between two cards of one column: out on the far side and back in. */
function bulge(from: Point, to: Point, write: (p: Point) => string, out: (p: Point) => Point, angle: number): Shape {
  const reach = Math.max(from.x, to.x) + 30 + Math.min(40, Math.abs(to.y - from.y) / 8);
  const stop = { x: to.x + ARROW - 1, y: to.y };
  const d = `M${write(from)}C${write({ x: reach, y: from.y })} ${write({ x: reach, y: to.y })} ${write(stop)}`;
  return { d, label: out({ x: reach - 12, y: (from.y + to.y) / 2 }), lift: { x: 0, y: 0 }, twoSided: false, tip: out(to), angle };
}

/** Width by the logarithm of the rate: 1 req/s is thin, 1000 req/s is three times as wide, not a thousand times. */
export const linkWidth = (perSecond: number): number => (perSecond <= 0 ? 1 : Math.min(7, 1.3 + 0.85 * Math.log10(1 + perSecond * 3)));
