import { useEffect, useRef } from 'react';
import type { Suggestion } from '../../filter/completion';
import type { CompletionState } from './useCompletion';

const TITLES = { key: 'Tags', op: 'Operators', value: 'Values' };

export function Completion({ completion, take }: { completion: CompletionState; take: (s: Suggestion) => void }) {
  const { items, active, setActive, context } = completion;
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    // Newer browsers return a promise here, which must not become the effect's result.
    void list.current?.children[active]?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  if (items.length === 0) return null;
  return (
    <div className="completion">
      <div className="menu-title">{TITLES[context.expects]}{context.expects === 'value' && <> of {context.key}</>}<span className="completion-hint"><kbd>↑</kbd> <kbd>↓</kbd> choose · <kbd>Tab</kbd> take · <kbd>Enter</kbd> apply</span></div>
      <ul ref={list} id="filter-completion" role="listbox">
        {items.map((item, i) => (
          // The press must not take the focus from the field, whose blur would apply the filter.
          <li key={item.text} role="option" aria-selected={i === active} className="menu-item" onPointerDown={(e) => e.preventDefault()} onMouseMove={() => setActive(i)} onClick={() => take(item)}>
            <span className="completion-text">{item.text}</span>
            <span className="muted small clip" title={item.detail}>{item.detail}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
