// Suggestions for the caret's place and the keys that choose among them.
import { useState, type KeyboardEvent } from 'react';
import { useTags, useTagValues } from '../../api/queries';
import { contextAt, suggestKeys, suggestOperators, suggestValues, type CaretContext, type Suggestion } from '../../filter/completion';
import { findKey } from '../../filter/keys';
import { useRange } from '../../state/useUrl';

export interface CompletionState {
  context: CaretContext;
  items: Suggestion[];
  active: number;
  setActive: (index: number) => void;
  /** Returns whether the key was used up. */
  onKey: (event: KeyboardEvent, take: (s: Suggestion) => void) => boolean;
}

const DURATIONS = [{ value: '10ms' }, { value: '100ms' }, { value: '1s' }];

function useItems(context: CaretContext, open: boolean): Suggestion[] {
  const { range } = useRange();
  const { data: tags } = useTags();
  const tag = findKey(tags, context.key)?.tag;
  const asksValues = open && context.expects === 'value' && tag !== undefined && tag.kind !== 'duration' && tag.values === null;
  const { data: values } = useTagValues(range, context.key, context.word, asksValues);
  if (!open) return [];
  if (context.expects === 'key') return suggestKeys(tags ?? [], context.word);
  if (!tag) return [];
  if (context.expects === 'op') return suggestOperators(tag).filter((o) => o.text.startsWith(context.word));
  if (tag.kind === 'duration') return suggestValues(DURATIONS, context.word);
  return suggestValues(tag.values?.map((value) => ({ value })) ?? values ?? [], context.word);
}

export function useCompletion(text: string, caret: number, open: boolean): CompletionState {
  const context = contextAt(text, caret);
  const items = useItems(context, open).filter((item) => item.text !== context.word).slice(0, 12);
  const [chosen, setChosen] = useState<{ place: string; index: number }>({ place: '', index: -1 });
  // A choice belongs to one place and word; typing on forgets it. A begun word preselects the best match,
  // except after `~`, where a part of a value is what was meant.
  const place = `${context.expects}/${context.key}/${context.word}`;
  const preselected = context.word !== '' && items.length > 0 && !context.op.includes('~') ? 0 : -1;
  const active = chosen.place === place ? Math.min(chosen.index, items.length - 1) : preselected;
  const setActive = (index: number): void => setChosen({ place, index });
  const onKey = (event: KeyboardEvent, take: (s: Suggestion) => void): boolean => {
    if (items.length === 0) return false;
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step !== 0) setActive((active + step + items.length) % items.length);
    const picks = (event.key === 'Enter' && active >= 0) || (event.key === 'Tab' && !event.shiftKey && active >= 0);
    if (picks) take(items[active]!);
    if (step === 0 && !picks) return false;
    event.preventDefault();
    return true;
  };
  return { context, items, active, setActive, onKey };
}
