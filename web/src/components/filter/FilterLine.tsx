// One filter line for all pages. It is a plain text field with its tokens painted behind the text, so that typing,
// selecting, pasting and screen readers work as in any other field.
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useFilterError } from '../../api/queries';
import type { Suggestion } from '../../filter/completion';
import { withGaps, withoutTerm } from '../../filter/edit';
import { tokenise } from '../../filter/tokens';
import { usePatch, useSearchState } from '../../state/useUrl';
import { Icon } from '../Icon';
import { Completion } from './Completion';
import { PaintedFilter } from './PaintedFilter';
import { TokenCrosses } from './TokenCrosses';
import { useCompletion } from './useCompletion';
import './filter.css';

/** The text being edited; it follows the address line whenever that changes from elsewhere. */
function useDraft(applied: string): [string, (text: string) => void] {
  const [draft, setDraft] = useState(applied);
  const [seen, setSeen] = useState(applied);
  if (seen !== applied) {
    setSeen(applied);
    setDraft(applied);
  }
  return [draft, setDraft];
}

export function FilterLine() {
  const applied = useSearchState().filter ?? '';
  const patch = usePatch();
  const [draft, setDraft] = useDraft(applied);
  const [caret, setCaret] = useState(0);
  const [open, setOpen] = useState(false);
  const [scroll, setScroll] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const cancelled = useRef(false);
  const wantedCaret = useRef<number | null>(null);
  const error = useFilterError(applied);
  const completion = useCompletion(draft, caret, open);
  const apply = (text: string): void => {
    setOpen(false);
    const spaced = withGaps(text);
    if (spaced !== text) setDraft(spaced);
    if (spaced !== applied) patch({ filter: spaced || undefined });
  };
  const remove = (index: number): void => {
    const text = withoutTerm(draft, index);
    setDraft(text);
    apply(text);
  };
  const take = (suggestion: Suggestion): void => {
    const { start, end } = completion.context;
    const text = draft.slice(0, start) + suggestion.insert + draft.slice(end).replace(/^ /, '');
    wantedCaret.current = start + suggestion.insert.length;
    setDraft(text);
    setCaret(wantedCaret.current);
  };
  // A controlled field puts the caret at its end after a programmatic change; completion wants it after the word.
  useEffect(() => {
    if (wantedCaret.current === null) return;
    input.current?.setSelectionRange(wantedCaret.current, wantedCaret.current);
    wantedCaret.current = null;
  }, [draft]);
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (completion.onKey(event, take)) return;
    if (event.key === 'Enter') apply(draft);
    if (event.key !== 'Escape') return;
    event.preventDefault();
    if (open && completion.items.length > 0) return setOpen(false);
    cancelled.current = true;
    setDraft(applied);
    input.current?.blur();
  };
  /** Leaving the line applies a filter that is complete; a half-typed one waits there for more. */
  const onBlur = (): void => {
    setOpen(false);
    if (!cancelled.current && tokenise(draft).every((term) => term.value)) apply(draft);
    cancelled.current = false;
  };
  const shownError = error && draft.trim() === applied ? error : null;
  return (
    <form className={`filter ${shownError ? 'wrong' : ''}`} role="search" onSubmit={(e: FormEvent) => e.preventDefault()}>
      <Icon name="search" size={14} />
      <div className="filter-text">
        <PaintedFilter text={draft} error={shownError} scroll={scroll} />
        <input
          ref={input} data-testid="filter-input" type="text" spellCheck={false} autoComplete="off" autoCapitalize="off"
          role="combobox" aria-label="Filter" aria-expanded={completion.items.length > 0} aria-controls="filter-completion" aria-autocomplete="list"
          aria-invalid={shownError !== null} aria-describedby={shownError ? 'filter-error' : undefined}
          placeholder="Filter, e.g. status = server_error" value={draft}
          onChange={(e) => { setDraft(e.target.value); setCaret(e.target.selectionStart ?? 0); setOpen(true); }}
          onSelect={(e) => setCaret(e.currentTarget.selectionStart ?? 0)}
          onScroll={(e) => setScroll(e.currentTarget.scrollLeft)}
          onFocus={() => setOpen(true)} onBlur={onBlur} onKeyDown={onKeyDown}
        />
        <TokenCrosses text={draft} scroll={scroll} remove={remove} />
      </div>
      {draft === '' ? <kbd aria-hidden="true">/</kbd> : <button type="button" className="icon-button" aria-label="Clear the filter" title="Clear the filter" onClick={() => { setDraft(''); apply(''); }}><Icon name="close" size={14} /></button>}
      {open && <Completion completion={completion} take={take} />}
    </form>
  );
}
