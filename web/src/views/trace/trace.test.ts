import { describe, expect, it } from 'vitest';
import type { Evidence, TraceRow, TraceSpan } from '../../api/types';
import { barOf, ticksOf, union } from './bars';
import { confidenceOf, evidenceOf, isDoubtful } from './evidence';
import { emphasised } from './sentence';
import { ancestorsOf, callsOf, countBelow, linesOf, matches, nameOf, nextOf, scaleOf } from './tree';

const plain = (text: string): string => text.replace(/\u00a0/g, ' ');

type Short = [id: string, parent: string | null, call: number, point: string, from: number, to: number];

function span([id, parent_id, call, observation_point, from, to]: Short, evidence: Evidence | null = 'task_context', row: Partial<TraceRow> = {}): TraceSpan {
  return {
    id, parent_id, call, evidence: parent_id === null ? null : evidence, confidence: parent_id === null ? null : 0.84, start_us: from, self_us: 0, waiting_us: 0, network_us: null, critical: [],
    // The row's own clock is elsewhere.
    row: { observation_point, start_time_us: from + 1e6, end_time_us: to + 1e6, client: 'a', server: `s${call}`, request_type: 'GET', endpoint: `/${call}`, l7_protocol_str: 'HTTP1', response_status: 'ok', response_code: 200, request_resource: '', request_domain: '', response_exception: '', type: 'session', ...row } as TraceRow,
  };
}

/** nginx (both ends) → shop (both ends) → redis (client's end), then shop → tax. */
const CHAIN: Short[] = [
  ['1', null, 0, 'c-p', 0, 100], ['2', '1', 0, 's-p', 10, 90],
  ['3', '2', 1, 'c-p', 20, 60], ['4', '3', 1, 's-p', 25, 55], ['5', '4', 2, 'c-p', 30, 50],
  ['6', '2', 3, 'c-p', 70, 80],
];
const chain = () => callsOf(CHAIN.map((short) => span(short)));

describe('tree', () => {
  it('joins the rows of a call into a line', () => {
    const calls = chain();
    expect(calls.map((c) => [c.id, c.depth, c.spans.length])).toEqual([['1', 0, 2], ['3', 1, 2], ['5', 2, 1], ['6', 1, 1]]);
    expect(scaleOf(calls)).toEqual({ from: 0, to: 100 });
    expect(ancestorsOf(calls[2]!).map((c) => c.id)).toEqual(['3', '1']);
    expect(countBelow(calls[0]!)).toBe(3);
  });
  it('hides what is folded', () => {
    const calls = chain();
    expect(linesOf(calls, new Set()).map((c) => c.id)).toEqual(['1', '3', '5', '6']);
    expect(linesOf(calls, new Set(['3'])).map((c) => c.id)).toEqual(['1', '3', '6']);
    expect(linesOf([], new Set())).toEqual([]);
  });
  it('keeps a span whose parent is missing', () => {
    const calls = callsOf([span(['9', '8', 0, 's-p', 0, 5])]);
    expect(linesOf(calls, new Set()).map((c) => c.id)).toEqual(['9']);
  });
  it('takes thousands of calls, however deep', () => {
    const deep = callsOf(Array.from({ length: 5000 }, (_, i) => span([`${i}`, i ? `${i - 1}` : null, i, 's-p', i, 20_000 - i])));
    expect(linesOf(deep, new Set()).length).toBe(5000);
    expect(countBelow(deep[0]!)).toBe(4999);
    const wide = callsOf(Array.from({ length: 5000 }, (_, i) => span([`${i}`, i ? '0' : null, i, 's-p', i, i + 1])));
    expect(linesOf(wide, new Set(['0'])).length).toBe(1);
  });
  it('goes to the next error and begins anew', () => {
    const calls = callsOf(CHAIN.map((short, i) => span(short, 'task_context', i === 4 || i === 5 ? { response_status: 'server_error' } : {})));
    const next = (from: string | null): string | undefined => nextOf(calls, from, (c) => c.failed)?.id;
    expect([next(null), next('5'), next('6')]).toEqual(['5', '6', '5']);
    expect(nextOf(calls, '5', (c) => c.failed, -1)?.id).toBe('6');
    expect(nextOf(chain(), null, (c) => c.failed)).toBeNull();
    expect(nextOf([], null, () => true)).toBeNull();
  });
  it('says a verb once and finds words', () => {
    const [call] = callsOf([span(['1', null, 0, 's-p', 0, 1], null, { request_type: 'SELECT', endpoint: 'SELECT items', server: 'postgres' })]);
    expect(nameOf(call!)).toBe('SELECT items');
    expect(nameOf(chain()[0]!)).toBe('GET /0');
    expect([matches(call!, 'POSTGRES items'), matches(call!, 'redis'), matches(call!, ' ')]).toEqual([true, false, false]);
  });
});

describe('bars', () => {
  it('joins overlapping times', () => expect(union([[0, 4], [3, 6], [8, 9], [20, 30]], [1, 10])).toEqual([[1, 6], [8, 9]]));
  it('shades network, own time and waiting', () => {
    const calls = chain();
    const scale = scaleOf(calls);
    expect(barOf(calls[0]!, scale).stretches).toEqual([
      { shade: 'network', start: 0, length: 1 }, { shade: 'self', start: 0.1, length: 0.8 },
      { shade: 'waiting', start: 0.2, length: 0.4 }, { shade: 'waiting', start: 0.7, length: 0.1 },
    ]);
    expect(barOf(calls[2]!, scale).stretches).toEqual([{ shade: 'unseen', start: 0.3, length: 0.2 }]);
  });
  it('marks the critical path of all rows of a call', () => {
    const [head, last] = CHAIN.slice(0, 2).map((short) => span(short)) as [TraceSpan, TraceSpan];
    const calls = callsOf([{ ...head, critical: [[0, 10], [90, 100]] }, { ...last, critical: [[10, 20]] }]);
    expect(barOf(calls[0]!, { from: 0, to: 100 }).critical).toEqual([{ start: 0, length: 0.2 }, { start: 0.9, length: 0.1 }]);
  });
  it('puts round times on the ruler', () => {
    expect(ticksOf({ from: 5, to: 105 }, 5)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(ticksOf({ from: 0, to: 412_000 }, 5)).toEqual([0, 100_000, 200_000, 300_000, 400_000]);
  });
});

describe('evidence', () => {
  const words = (evidence: Evidence): string => {
    const calls = callsOf(CHAIN.map((short) => span(short, short[0] === '6' ? evidence : 'task_context')));
    return plain(evidenceOf(calls[3]!));
  };
  it('is told in words', () => {
    expect(words('task_context')).toBe('The task that sent this call had read the request 60 µs before.');
    expect(words('answer_context')).toBe('The task that sent this call had read the answer of the call before it 10 µs earlier.');
    expect(words('response_context')).toBe('The task that read this answer went on to answer the request 10 µs later.');
    expect(words('pattern')).toMatch(/fits best what is usual/);
    expect(evidenceOf(chain()[0]!)).toMatch(/begins here/);
  });
  it('knows doubt', () => {
    const sure = (confidence: number): [string, boolean] => {
      const calls = callsOf([span(CHAIN[0]!), { ...span(['2', '1', 1, 'c-p', 1, 2]), confidence }]);
      return [confidenceOf(calls[1]!), isDoubtful(calls[1]!)];
    };
    expect([sure(1), sure(0.84), sure(0.6)]).toEqual([['sure, 100 %', false], ['likely, 84 %', false], ['doubtful, 60 %', true]]);
    expect(confidenceOf(chain()[0]!)).toBe('');
  });
});

it('times and services of the sentence stand out', () => {
  const part = (service: string) => ({ kind: 'own' as const, service, what: '', time_us: 1, calls: 1, span_id: '1', is_entry: false });
  const strong = (sentence: string): string[] => emphasised({ sentence, parts: [part('shop'), part('shop.py'), part('')] }).filter(([, is]) => is).map(([text]) => plain(text));
  expect(strong('1.2\u00a0ms, of which 900\u00a0µs in shop.py GET /shop and 3\u00a0µs in shop itself.')).toEqual(['1.2 ms', '900 µs', 'shop.py', '3 µs', 'shop']);
  expect(strong('')).toEqual([]);
});
