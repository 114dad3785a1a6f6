import { describe, expect, it } from 'vitest';
import { isLive, paused, rangeKey, rangeOf, shifted, windowOf, zoomed } from './range';
import { parseSearch, readMap, readRequests, stringifySearch } from './search';

describe('range', () => {
  it('is live without an end', () => {
    expect(isLive(rangeOf({}))).toBe(true);
    expect(windowOf(rangeOf({ last: '1h' }), 7200)).toEqual({ from: 3600, to: 7200 });
    expect(rangeKey(rangeOf({}))).toBe(rangeKey(rangeOf({ last: '15m' })));
  });
  it('goes back by half and forth to live', () => {
    const back = shifted(rangeOf({}), -1, 10_000);
    expect(back).toEqual({ last: '15m', to: 9550 });
    expect(shifted(rangeOf(back), 1, 10_000)).toEqual({ last: '15m' });
  });
  it('keeps its length while it stands still', () => {
    expect(windowOf(rangeOf(paused(rangeOf({}), 10_000)))).toEqual({ from: 9100, to: 10_000 });
    expect(windowOf(rangeOf(zoomed(rangeOf({}), 10.1234567, 20)))).toEqual({ from: 10.123, to: 20 });
  });
  it('ignores an end before its start', () => expect(windowOf(rangeOf({ from: 20, to: 10, last: '5m' }))).toEqual({ from: -290, to: 10 }));
});

describe('address', () => {
  it('survives a round trip', () => {
    const search = { last: '1h' as const, to: 1764000000, filter: 'a = "b c" & d', client: 'nginx', server: 'shop.py' };
    expect(readMap(parseSearch(stringifySearch(search)))).toEqual(search);
  });
  it('drops what it does not know', () => {
    expect(readRequests({ last: '9y', from: 'x', order: 'size', columns: '' })).toEqual({});
    expect(readRequests({ order: 'latency', request: '18446744073709551615', at: '5' })).toEqual({ order: 'latency', request: '18446744073709551615', at: 5 });
  });
});
