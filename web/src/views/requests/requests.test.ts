import { describe, expect, it } from 'vitest';
import type { Observation, RequestRow } from '../../api/types';
import { chosenColumns, formatWidths, parseWidths } from './columns';
import { factsOf } from './facts';
import { EMPTY_TAIL, merged, received, released } from './tail';
import { timingOf } from './timing';

const rows = (...ids: string[]): RequestRow[] => ids.map((_id) => ({ _id }) as RequestRow);
const page = (newest: string, ...names: string[]) => ({ rows: rows(...names), newest, next: null });
const ids = (list: RequestRow[]): string => list.map((r) => r._id).join(' ');

describe('live tail', () => {
  it('shows what arrives at once', () => {
    const tail = received(received(EMPTY_TAIL, page('a', '1'), false, 10), page('b', '3', '2'), false, 10);
    expect(ids(tail.shown)).toBe('3 2 1');
    expect(tail.newest).toBe('b');
  });
  it('lets rows wait while someone reads', () => {
    const held = received({ ...EMPTY_TAIL, shown: rows('1') }, page('b', '2'), true, 10);
    expect([ids(held.shown), ids(held.waiting)]).toEqual(['1', '2']);
    expect(ids(released(held).shown)).toBe('2 1');
  });
  it('does not show rows with a hole below them', () => {
    const flood = received({ ...EMPTY_TAIL, shown: rows('1') }, page('z', '9', '8'), false, 2);
    expect(flood.gap?.newest).toBe('z');
    expect(ids(flood.shown)).toBe('1');
  });
});

describe('merged', () => {
  const row = (_id: string, end_time_us: number): RequestRow => ({ _id, end_time_us }) as RequestRow;
  it('shows a row once and a late one in its place', () => {
    expect(ids(merged([row('9', 30), row('8', 15)], [row('9', 30), row('7', 20), row('6', 10)]))).toBe('9 7 8 6');
  });
  it('takes ids for numbers', () => expect(ids(merged([row('9', 1)], [row('10', 1)]))).toBe('10 9'));
});

describe('timing', () => {
  const seen = (observation_point: string, start_time_us: number, response_duration_us: number | null): Observation => ({ _id: '1', observation_point, start_time_us, response_duration_us });
  it('takes the difference of both ends as network', () => {
    const timing = timingOf([seen('s-p', 100, 300), seen('c-p', 0, 500)]);
    expect(timing).toMatchObject({ client_us: 500, server_us: 300, network_us: 200 });
    expect(timing.bars.map((b) => [b.point, b.start, b.length])).toEqual([['c-p', 0, 1], ['s-p', 0.2, 0.6]]);
  });
  it('says nothing about the network when one end was not seen', () => expect(timingOf([seen('s-p', 0, 300)]).network_us).toBeNull());
  it('bears a request without a response', () => expect(timingOf([seen('c-p', 0, null)])).toMatchObject({ client_us: null, network_us: null }));
});

describe('columns', () => {
  it('falls back to the usual ones', () => {
    expect(chosenColumns('nonsense', 'wide')).toEqual(chosenColumns(undefined, 'wide'));
    expect(chosenColumns('time,latency', 'beside')).toEqual(['time', 'latency']);
  });
  it('keeps widths in the address', () => expect(parseWidths(formatWidths({ time: 90, latency: 120.4 }))).toEqual({ time: 90, latency: 120 }));
});

describe('facts', () => {
  const detail = (row: Record<string, unknown>) => ({ row, client_tags: { auto_service: 'nginx' }, server_tags: {}, observations: [], flow: { rtt_us: null, retransmissions: 0 } });
  it('names the ends by their tags', () => expect(factsOf(detail({}))).toMatchObject({ client: 'nginx', server: '', status: 'unknown' }));
  it('has no duration without a response', () => {
    expect(factsOf(detail({ type: 'session', response_duration: 7 })).took_us).toBe(7);
    expect(factsOf(detail({ type: 'request', response_duration: 0 })).took_us).toBeNull();
  });
});
