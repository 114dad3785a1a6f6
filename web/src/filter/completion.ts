// What may come next at the caret: a key, an operator or a value.
import type { Tag } from '../api/types';
import { OPERATORS, quoteValue, tokenise, unquoteValue, type Term } from './tokens';

export interface CaretContext {
  expects: 'key' | 'op' | 'value';
  key: string;
  op: string;
  /** What is typed of it so far, and where it stands. */
  word: string;
  start: number;
  end: number;
}

export interface Suggestion {
  text: string;
  detail: string;
  insert: string;
}

const at = (expects: CaretContext['expects'], key: string, word: string, start: number, end: number, op = ''): CaretContext => ({ expects, key, op, word, start, end });

function inTerm(term: Term, caret: number): CaretContext | null {
  const { key, op, value } = term;
  if (caret <= key.end) return caret >= key.start ? at('key', key.text, key.text, key.start, key.end) : null;
  if (!op) return at('op', key.text, '', caret, caret);
  if (caret < op.end) return at('op', key.text, op.text, op.start, op.end);
  if (!value) return at('value', key.text, '', caret, caret, op.text);
  if (caret < value.start) return null;
  return caret <= value.end ? inValue(term, value.text, value.start, caret) : null;
}

/** In `a|b` only the alternative under the caret is completed. */
function inValue(term: Term, text: string, start: number, caret: number): CaretContext {
  const before = text.slice(0, caret - start);
  const from = text.startsWith('"') ? 0 : before.lastIndexOf('|') + 1;
  const rest = text.slice(from);
  const stop = text.startsWith('"') ? -1 : rest.indexOf('|');
  const word = stop < 0 ? rest : rest.slice(0, stop);
  return at('value', term.key.text, unquoteValue(word), start + from, start + from + word.length, term.op?.text);
}

export function contextAt(text: string, caret: number): CaretContext {
  const terms = tokenise(text);
  for (const [i, term] of terms.entries()) {
    const next = terms[i + 1];
    if (next && caret >= next.key.start) continue;
    const context = inTerm(term, caret);
    if (context) return context;
  }
  return at('key', '', '', caret, caret);
}

/** Every key that may be typed: a two-sided tag also with `_0` (client side) and `_1` (server side). */
export function keysOf(tags: Tag[]): { name: string; description: string }[] {
  return tags.flatMap((tag) => [
    { name: tag.name, description: tag.description },
    ...(tag.two_sided
      ? [
          { name: `${tag.name}_0`, description: `client side: ${tag.description}` },
          { name: `${tag.name}_1`, description: `server side: ${tag.description}` },
        ]
      : []),
  ]);
}

/** Names that start with the word come before names that merely contain it. */
function ranked<T>(items: T[], word: string, name: (item: T) => string): T[] {
  const wanted = word.toLowerCase();
  const hit = items.filter((item) => name(item).toLowerCase().includes(wanted));
  return hit.sort((a, b) => Number(!name(a).toLowerCase().startsWith(wanted)) - Number(!name(b).toLowerCase().startsWith(wanted)));
}

export const suggestKeys = (tags: Tag[], word: string): Suggestion[] =>
  ranked(keysOf(tags), word, (key) => key.name).map(({ name, description }) => ({ text: name, detail: description, insert: `${name} ` }));

const MEANING: Record<string, string> = {
  '=': 'is', '!=': 'is not', '~': 'contains', '!~': 'does not contain',
  '>': 'more than', '>=': 'at least', '<': 'less than', '<=': 'at most',
};

export function suggestOperators(tag: Tag | undefined): Suggestion[] {
  const ordered = tag?.kind === 'number' || tag?.kind === 'duration';
  const allowed = OPERATORS.filter((op) => ordered === /[<>]/.test(op) || op === '=' || op === '!=');
  return allowed.map((op) => ({ text: op, detail: MEANING[op] ?? '', insert: `${op} ` }));
}

export const suggestValues = (values: { value: string; count?: number }[], word: string): Suggestion[] =>
  ranked(values, word, (v) => v.value)
    .filter((v) => v.value !== '')
    .map(({ value, count }) => ({ text: value, detail: count === undefined ? '' : `${count} ×`, insert: `${quoteValue(value)} ` }));
