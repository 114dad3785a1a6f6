// The sentence is the server's; here it only gets its emphasis.
import type { Trace } from '../../api/types';

/** Times and services of the sentence stand out: they are what one looks for. */
export function emphasised({ sentence, parts }: Pick<Trace, 'sentence' | 'parts'>): [text: string, strong: boolean][] {
  const services = [...new Set(parts.map((p) => p.service))].filter(Boolean).sort((a, b) => b.length - a.length);
  const names = services.map((name) => `(?<=\\b(?:in|for|to|from|after|although|first) )${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?=[ .])`);
  const strong = new RegExp(`(${['[\\d.]+\u00a0(?:µs|ms|s|min|h|d)\\b', ...names].join('|')})`);
  // Split by a group: what it matched is at the odd places.
  return sentence.split(strong).map((text, i): [string, boolean] => [text, i % 2 === 1]).filter(([text]) => text !== '');
}
