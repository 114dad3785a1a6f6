// The filter line's grammar, as the server reads it: `key op value` terms joined by blanks.
import { DURATIONS, tagOf, TAGS } from './tags.mjs';

const TERM = /\s*([^\s=!<>~"]+)\s*(!=|!~|>=|<=|=|>|<|~)?\s*((?:"(?:[^"\\]|\\.)*"|[^\s"|]+)(?:\|(?:"(?:[^"\\]|\\.)*"|[^\s"|]+))*)?/y;

export class FilterError extends Error {
  constructor(message, position, length, suggestion = null) {
    super(message);
    Object.assign(this, { code: 'invalid_filter', position, length, suggestion });
  }
}

const distance = (a, b) => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
};

export const closest = (word, names) => {
  const ranked = names.map((name) => [distance(word, name), name]).sort((a, b) => a[0] - b[0]);
  return ranked[0] && ranked[0][0] <= 4 ? ranked[0][1] : null;
};

const unquote = (value) => (value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);

function parseTerm(match, start) {
  const [whole, key, op, value] = match;
  const keyAt = start + whole.indexOf(key);
  const { tag, side } = tagOf(key);
  if (!tag) throw new FilterError(`unknown tag ${key}`, keyAt, key.length, closest(key, TAGS.map((t) => t.name)));
  if (!op) throw new FilterError(`${key} needs an operator, such as =`, keyAt + key.length, 1, '=');
  if (!value) throw new FilterError(`${key} ${op} needs a value`, start + whole.trimEnd().length, 1);
  const values = value.match(/"(?:[^"\\]|\\.)*"|[^|]+/g).map(unquote);
  const valueAt = start + whole.lastIndexOf(value);
  if (tag.values) {
    const wrong = values.find((v) => !tag.values.includes(v) && !op.includes('~'));
    if (wrong) throw new FilterError(`${key} is never ${wrong}`, valueAt, value.length, closest(wrong, tag.values));
  }
  if (tag.kind === 'duration') {
    const parts = /^([\d.]+)(us|ms|s)$/.exec(values[0]);
    if (!parts) throw new FilterError('a duration needs a unit: us, ms or s', valueAt, value.length, `${parseFloat(values[0]) || 100}ms`);
    values[0] = Number(parts[1]) * DURATIONS[parts[2]];
  }
  return { tag, side, op, values };
}

export function parseFilter(text) {
  const terms = [];
  let at = 0;
  while (at < text.length && text.slice(at).trim()) {
    TERM.lastIndex = at;
    const match = TERM.exec(text);
    if (!match) throw new FilterError('expected a tag here', at, 1);
    terms.push(parseTerm(match, at));
    at = TERM.lastIndex;
  }
  return terms;
}

const compare = (op, actual, wanted) => {
  const text = String(actual ?? '').toLowerCase();
  switch (op) {
    case '=': return String(actual ?? '') === String(wanted);
    case '!=': return String(actual ?? '') !== String(wanted);
    case '~': return text.includes(String(wanted).toLowerCase());
    case '!~': return !text.includes(String(wanted).toLowerCase());
    case '>': return Number(actual) > Number(wanted);
    case '>=': return Number(actual) >= Number(wanted);
    case '<': return Number(actual) < Number(wanted);
    default: return Number(actual) <= Number(wanted);
  }
};

const termMatches = ({ tag, side, op, values }, read) => {
  const negative = op.startsWith('!');
  const sides = !tag.two_sided ? [''] : side ? [side] : ['_0', '_1'];
  const hits = sides.map((s) => {
    const each = values.map((value) => compare(op, read(tag.name + s), value));
    return negative ? each.every(Boolean) : each.some(Boolean);
  });
  return negative ? hits.every(Boolean) : hits.some(Boolean);
};

/** Terms that are decided by an edge alone (`scope` = "edge") or that need a single request. */
export const matches = (terms, read, scope) =>
  terms.every((term) => (scope && term.tag.scope !== scope) || termMatches(term, read));
