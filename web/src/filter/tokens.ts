// The filter line's text, cut into terms with their positions. It never fails: half-typed terms are terms whose
// operator or value is missing, since completion has to work on exactly those.

export interface Span {
  text: string;
  start: number;
  end: number;
}

export interface Term {
  key: Span;
  op: Span | null;
  /** As written: quotes, escapes and `|` included. */
  value: Span | null;
}

export const OPERATORS = ['=', '!=', '~', '!~', '>', '>=', '<', '<='] as const;

const BLANK = /\s*/y;
const KEY = /[^\s=!<>~"|]+/y;
const OP = /!=|!~|>=|<=|=|>|<|~/y;
const ONE_VALUE = String.raw`"(?:[^"\\]|\\.)*"?|[^\s"|]+`;
const VALUE = new RegExp(`(?:${ONE_VALUE}|\\|)+`, 'y');

function read(pattern: RegExp, text: string, at: number): Span | null {
  pattern.lastIndex = at;
  const match = pattern.exec(text);
  return match && match[0] ? { text: match[0], start: at, end: at + match[0].length } : null;
}

const skipBlanks = (text: string, at: number): number => read(BLANK, text, at)?.end ?? at;

function readTerm(text: string, key: Span): { term: Term; end: number } {
  const op = read(OP, text, skipBlanks(text, key.end));
  if (!op) return { term: { key, op: null, value: null }, end: key.end };
  const value = read(VALUE, text, skipBlanks(text, op.end));
  return { term: { key, op, value }, end: value?.end ?? op.end };
}

export function tokenise(text: string): Term[] {
  const terms: Term[] = [];
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    const key = read(KEY, text, at);
    if (!key) {
      // A character that cannot start a key (a stray quote or operator): the server names it, we step over it.
      at = skipBlanks(text, at + 1);
      continue;
    }
    const { term, end } = readTerm(text, key);
    terms.push(term);
    at = skipBlanks(text, end);
  }
  return terms;
}

const NEEDS_QUOTES = /[\s"|\\]|^$|^[=!<>~]/;

export function quoteValue(value: string): string {
  return NEEDS_QUOTES.test(value) ? `"${value.replace(/[\\"]/g, '\\$&')}"` : value;
}

export function unquoteValue(value: string): string {
  return value.startsWith('"') ? value.slice(1).replace(/"$/, '').replace(/\\(.)/g, '$1') : value;
}

export const formatTerm = (key: string, op: string, value: string): string => `${key} ${op} ${quoteValue(value)}`;
