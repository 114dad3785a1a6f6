import { describe, expect, it } from 'vitest';
import type { Tag } from '../api/types';
import { contextAt, suggestKeys, suggestOperators, suggestValues } from './completion';
import { notThis, onlyThis, replaceAt, withGaps, withoutTerm, withTerms } from './edit';
import { findKey } from './keys';
import { formatTerm, quoteValue, tokenise, unquoteValue } from './tokens';

const terms = (text: string): string[] => tokenise(text).map((t) => [t.key.text, t.op?.text ?? '', t.value?.text ?? ''].join(' ').trim());

describe('tokenise', () => {
  it('reads terms with and without blanks', () => expect(terms('service=cart  latency>=100ms status !~ "a b"')).toEqual(['service = cart', 'latency >= 100ms', 'status !~ "a b"']));
  it('reads alternatives and escapes as one value', () => expect(terms(String.raw`status = ok|"a \" b"|timeout x = 1`)).toEqual([String.raw`status = ok|"a \" b"|timeout`, 'x = 1']));
  it('keeps half-typed terms', () => expect(terms('service = cart stat')).toEqual(['service = cart', 'stat']));
  it('keeps positions', () => expect(tokenise(' a = b')[0]).toEqual({ key: { text: 'a', start: 1, end: 2 }, op: { text: '=', start: 3, end: 4 }, value: { text: 'b', start: 5, end: 6 } }));
  it('never fails, whatever prefix is typed', () => {
    const text = 'a = "b \\" c" | = >= !~ d~e "" é = ü';
    for (let i = 0; i <= text.length; i++) expect(() => tokenise(text.slice(0, i))).not.toThrow();
  });
});

describe('values', () => {
  it('quotes only what needs it and reads it back', () => {
    for (const value of ['cart', '', 'a b', 'a"b', 'a|b', String.raw`a\b`, '=x']) expect(unquoteValue(quoteValue(value))).toBe(value);
    expect(formatTerm('service', '=', 'cart')).toBe('service = cart');
  });
});

describe('edit', () => {
  it('narrows, replacing an earlier choice', () => expect(onlyThis('a = 1  b = 2', 'a', '3')).toBe('b = 2  a = 3'));
  it('excludes, and keeps other exclusions', () => expect(notThis('a != 1', 'a', '2')).toBe('a != 1  a != 2'));
  it('turns an exclusion round', () => expect(onlyThis('a != 1', 'a', '1')).toBe('a = 1'));
  it('adds several', () => expect(withTerms('', [['x_0', 'a'], ['x_1', 'b c']])).toBe('x_0 = a  x_1 = "b c"'));
  it('repairs by characters, not by UTF-16 units', () => expect(replaceAt('😀 = x servce = y', 6, 6, 'service')).toBe('😀 = x service = y'));
  it('leaves room between terms and everything else as it was', () => {
    expect(withGaps(' a=1 b = "c  d"    e ')).toBe('a=1  b = "c  d"  e');
    expect(withGaps('a = 1 " b = 2')).toBe('a = 1 " b = 2');
    for (const text of ['', 'a', 'a =', '= 3', 'a = 1  b = 2']) expect(withGaps(text)).toBe(text);
  });
  it('removes one term', () => expect(withoutTerm('a = 1 b = 2', 0)).toBe('b = 2'));
});

describe('completion', () => {
  const tag = (name: string, kind: Tag['kind'] = 'string', two_sided = false): Tag => ({ name, kind, two_sided, description: '', values: null });
  it('knows what the caret expects', () => {
    const expects = (text: string): string => contextAt(text, text.length).expects;
    expect(['', 'ser', 'service ', 'service =', 'service = c', 'service = cart '].map(expects)).toEqual(['key', 'key', 'op', 'value', 'value', 'key']);
  });
  it('completes the alternative under the caret', () => expect(contextAt('s = ok|ser', 10)).toMatchObject({ word: 'ser', start: 7, end: 10 }));
  it('offers both sides of a two-sided tag, beginnings first', () => expect(suggestKeys([tag('my_host'), tag('host', 'string', true)], 'host').map((s) => s.text)).toEqual(['host', 'host_0', 'host_1', 'my_host']));
  it('offers operators that fit the kind', () => {
    expect(suggestOperators(tag('a')).map((s) => s.text)).toEqual(['=', '!=', '~', '!~']);
    expect(suggestOperators(tag('a', 'duration')).map((s) => s.text)).toEqual(['=', '!=', '>', '>=', '<', '<=']);
  });
  it('quotes values on insertion', () => expect(suggestValues([{ value: 'a b', count: 2 }], '')[0]?.insert).toBe('"a b" '));
});

describe('keys', () => {
  const tag = (name: string, two_sided = false): Tag => ({ name, kind: 'string', two_sided, description: '', values: null });
  const tags = [tag('auto_service', true), tag('status')];
  it('finds tags, sides and columns with short names', () => {
    const keys = ['auto_service', 'auto_service_1', 'response_status', 'status', 'ip_0', undefined].map((name) => findKey(tags, name)?.key);
    expect(keys).toEqual(['auto_service', 'auto_service_1', 'status', 'status', undefined, undefined]);
  });
});
