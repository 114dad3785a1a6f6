// Changes to the filter line that a click makes: narrowing to a value, excluding it, repairing a mistake.
import { formatTerm, tokenise, unquoteValue, type Term } from './tokens';

const textOf = (text: string, term: Term): string => text.slice(term.key.start, (term.value ?? term.op ?? term.key).end);

/** Between two terms: room for the cross of the first. */
const GAP = '  ';

/** The line with the usual gap between terms. What is no term, a stray quote for example, stays for the server to name. */
export function withGaps(text: string): string {
  let at = 0;
  let line = '';
  for (const term of tokenise(text)) {
    const between = text.slice(at, term.key.start);
    line += (between.trim() === '' ? (line === '' ? '' : GAP) : between) + textOf(text, term);
    at = (term.value ?? term.op ?? term.key).end;
  }
  return (line + text.slice(at)).trim();
}

const says = (term: Term, key: string, op: string, value?: string): boolean =>
  term.key.text === key && term.op?.text === op && (value === undefined || unquoteValue(term.value?.text ?? '') === value);

function replaceTerms(text: string, drop: (term: Term) => boolean, added: string): string {
  const kept = tokenise(text).filter((term) => !drop(term)).map((term) => textOf(text, term));
  return [...kept, added].join(GAP);
}

/** Only this value: replaces an earlier choice for the same key, and an exclusion of the same value. */
export const onlyThis = (text: string, key: string, value: string): string =>
  replaceTerms(text, (term) => says(term, key, '=') || says(term, key, '!=', value), formatTerm(key, '=', value));

export const notThis = (text: string, key: string, value: string): string =>
  replaceTerms(text, (term) => says(term, key, '=', value) || says(term, key, '!=', value), formatTerm(key, '!=', value));

export function withTerms(text: string, terms: [key: string, value: string][]): string {
  return terms.reduce((line, [key, value]) => onlyThis(line, key, value), text);
}

/** Positions count characters, not UTF-16 units, as the server does. */
export function replaceAt(text: string, position: number, length: number, by: string): string {
  const characters = Array.from(text);
  return [...characters.slice(0, position), by, ...characters.slice(position + length)].join('');
}

/** One token per click on its cross. */
export function withoutTerm(text: string, index: number): string {
  const terms = tokenise(text);
  return terms.filter((_, i) => i !== index).map((term) => textOf(text, term)).join(GAP);
}

export const withoutKeys = (text: string, keys: string[]): string =>
  tokenise(text).filter((term) => !keys.includes(term.key.text)).map((term) => textOf(text, term)).join(GAP);
