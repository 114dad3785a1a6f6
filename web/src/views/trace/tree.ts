// The spans of a trace as a tree of calls: rows that several points of a path saw of one call are one line.
import type { TraceSpan } from '../../api/types';
import { callName } from '../../format/endpoints';
import { failed } from '../requests/StatusMark';

export interface Call {
  /** Id of its first row, which also says what caused it. */
  id: string;
  /** In path order: the client's end first, the server's last. */
  spans: TraceSpan[];
  parent: Call | null;
  children: Call[];
  depth: number;
  /** In µs of the trace's clock. */
  start: number;
  end: number;
  failed: boolean;
  /** Nobody saw an answer. */
  open: boolean;
}

export const headOf = (call: Call): TraceSpan => call.spans[0]!;
/** Nearest to the server, whose view of the outcome counts. */
export const lastOf = (call: Call): TraceSpan => call.spans[call.spans.length - 1]!;
export const isClientSide = (span: TraceSpan): boolean => span.row.observation_point.startsWith('c');

/** Times of rows are by their agent's clock; those of spans are corrected. */
export const endOf = (span: TraceSpan): number => span.start_us + Math.max(0, span.row.end_time_us - span.row.start_time_us);

export function callsOf(spans: TraceSpan[]): Call[] {
  const byNumber = new Map<number, Call>();
  const byId = new Map<string, Call>();
  const calls: Call[] = [];
  for (const span of spans) {
    let call = byNumber.get(span.call);
    if (!call) {
      const parent = (span.parent_id !== null && byId.get(span.parent_id)) || null;
      call = { id: span.id, spans: [], parent, children: [], depth: parent ? parent.depth + 1 : 0, start: span.start_us, end: endOf(span), failed: false, open: false };
      byNumber.set(span.call, call);
      calls.push(call);
      parent?.children.push(call);
    }
    call.spans.push(span);
    call.start = Math.min(call.start, span.start_us);
    call.end = Math.max(call.end, endOf(span));
    call.failed = failed(span.row.response_status);
    call.open = call.spans.every((s) => s.row.type === 'request');
    byId.set(span.id, call);
  }
  return calls;
}

export interface Scale {
  from: number;
  to: number;
}

/** From the first byte to the last; of an instant at least a microsecond. */
export function scaleOf(calls: Call[]): Scale {
  const from = calls.reduce((least, c) => Math.min(least, c.start), Infinity);
  const to = calls.reduce((most, c) => Math.max(most, c.end), -Infinity);
  return calls.length === 0 ? { from: 0, to: 1 } : { from, to: Math.max(to, from + 1) };
}

/** Depth first, children by start, without what is folded. Not recursive: a trace may be thousands of calls deep. */
export function linesOf(calls: Call[], folded: ReadonlySet<string>): Call[] {
  const lines: Call[] = [];
  const stack = calls.filter((c) => c.parent === null).reverse();
  while (stack.length > 0) {
    const call = stack.pop()!;
    lines.push(call);
    if (!folded.has(call.id)) for (let i = call.children.length - 1; i >= 0; i--) stack.push(call.children[i]!);
  }
  return lines;
}

export function ancestorsOf(call: Call): Call[] {
  const above: Call[] = [];
  for (let at = call.parent; at; at = at.parent) above.push(at);
  return above;
}

/** How many lines folding would hide. */
export function countBelow(call: Call): number {
  let count = 0;
  const stack = [...call.children];
  for (let at = stack.pop(); at; at = stack.pop()) {
    count += 1;
    stack.push(...at.children);
  }
  return count;
}

/** The next call after `current` that fits, in the order of the lines; past the end it begins anew. */
export function nextOf(all: Call[], current: string | null, fits: (call: Call) => boolean, step: 1 | -1 = 1): Call | null {
  const at = all.findIndex((c) => c.id === current);
  for (let i = 1; i <= all.length; i++) {
    const call = all[(((at < 0 && step < 0 ? 0 : at) + step * i) % all.length + all.length) % all.length];
    if (call && fits(call)) return call;
  }
  return null;
}

export const nameOf = (call: Call): string => callName(lastOf(call).row);

/** What the search within a trace looks at. */
export function matches(call: Call, wanted: string): boolean {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return false;
  const { row } = lastOf(call);
  const text = [headOf(call).row.client, row.server, nameOf(call), row.request_resource, row.request_domain, row.response_status, row.response_code ?? '', row.response_exception, row.l7_protocol_str].join(' ').toLowerCase();
  return words.every((word) => text.includes(word));
}
