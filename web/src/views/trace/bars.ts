// What a call's bar is made of: fractions of the whole width, 0..1, so that only CSS knows pixels.
import { endOf, headOf, isClientSide, lastOf, type Call, type Scale } from './tree';

export type Shade = 'network' | 'self' | 'waiting' | 'unseen';

export interface Stretch {
  shade: Shade;
  start: number;
  length: number;
}

export interface Bar {
  start: number;
  length: number;
  stretches: Stretch[];
  critical: { start: number; length: number }[];
}

type Interval = [from: number, to: number];

/** Overlapping times joined and cut to a window. */
export function union(intervals: Interval[], [from, to]: Interval): Interval[] {
  const joined: Interval[] = [];
  for (const [a, b] of [...intervals].sort((x, y) => x[0] - y[0])) {
    const start = Math.max(a, from);
    const end = Math.min(b, to);
    if (end <= start) continue;
    const last = joined.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined;
}

/**
 * Of a call that both ends saw, the client's time around the server's is the network's. Within the server's it waited
 * while a call of its own was open. A server that nobody watches has one shade for all.
 */
export function barOf(call: Call, scale: Scale): Bar {
  const width = scale.to - scale.from;
  const place = ([from, to]: Interval): { start: number; length: number } => ({ start: (from - scale.from) / width, length: (to - from) / width });
  const [head, last] = [headOf(call), lastOf(call)];
  const whole: Interval = [call.start, call.end];
  const seen = !isClientSide(last);
  const inner: Interval = seen ? [last.start_us, endOf(last)] : whole;
  const stretches: Stretch[] = [];
  if (seen && isClientSide(head)) stretches.push({ shade: 'network', ...place(whole) });
  stretches.push({ shade: seen ? 'self' : 'unseen', ...place(inner) });
  for (const waiting of union(call.children.map((c): Interval => [c.start, c.end]), inner)) stretches.push({ shade: 'waiting', ...place(waiting) });
  const critical = union(call.spans.flatMap((s) => s.critical), [scale.from, scale.to]).map(place);
  return { ...place(whole), stretches, critical };
}

/** At most this many lines on the ruler, at round times. */
export function ticksOf(scale: Scale, most: number): number[] {
  const width = scale.to - scale.from;
  const rough = width / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const ticks: number[] = [];
  for (let at = 0; at <= width * 1.0001; at += step) ticks.push(at);
  return ticks;
}
