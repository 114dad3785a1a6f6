import { describe, expect, it } from 'vitest';
import { bytes, connections, count, duration, plural, rate, ratio } from './units';

/** No-break spaces read as spaces here. */
const plain = (text: string): string => text.replace(/\u00a0/g, ' ');
const check = (cases: [string, string][]): void => cases.forEach(([actual, wanted]) => expect(plain(actual)).toBe(wanted));

describe('units', () => {
  it('counts', () => check([[count(0), '0'], [count(7), '7'], [count(999), '999'], [count(1234), '1.2k'], [count(999_960), '1M'], [count(48_213), '48k'], [count(1.5e9), '1.5G'], [count(-1200), '−1.2k']]));
  it('rates, with a slower unit for the rare', () => check([[rate(0), '0 req/s'], [rate(1234), '1.2k req/s'], [rate(0.38), '0.38 req/s'], [rate(0.05), '3 req/min'], [rate(0.0005), '1.8 req/h'], [rate(2, 'err'), '2 err/s']]));
  it('durations', () => check([[duration(0), '0 µs'], [duration(311), '311 µs'], [duration(999.9), '1 ms'], [duration(38_400), '38 ms'], [duration(1_230_000), '1.2 s'], [duration(90e6), '1.5 min'], [duration(null), '–']]));
  it('ratios never hide a failure nor a success', () => check([[ratio(0), '0 %'], [ratio(0.004), '0.4 %'], [ratio(0.00001), '<0.1 %'], [ratio(0.126), '13 %'], [ratio(0.9999), '99.9 %'], [ratio(1), '100 %']]));
  it('bytes', () => check([[bytes(80), '80 B'], [bytes(17_700), '18 kB'], [bytes(482_114_560), '482 MB'], [bytes(null), '–']]));
  it('plurals', () => check([[plural(1, 'connection'), '1 connection'], [plural(1200, 'event'), '1.2k events'], [connections(0), 'an older connection'], [connections(2), '2 connections']]));
});
