import { useEffect, useRef } from 'react';
import { PAGES } from './pages';

type Group = [name: string, keys: [key: string, meaning: string][]];

/** The pages' own keys come from the list that the rail is made of. */
const KEYS: Group[] = [
  ['Go', [...PAGES.map((page): [string, string] => [page.keys, page.name]), ['?', 'This list']]],
  ['Time', [['[', 'Half a range back'], [']', 'Half a range forth'], ['.', 'Live or paused'], ['drag', 'Zoom on a chart; back undoes it']]],
  ['Map', [['Tab', 'Next link or service'], ['Enter', 'Open it'], ['Esc', 'Close what opened last']]],
  ['Requests', [['j', 'Next row'], ['k', 'Previous row'], ['Enter', 'Open'], ['Esc', 'Close']]],
  ['Trace', [['↑ ↓', 'Previous, next span'], ['← →', 'Fold, unfold'], ['Enter', 'Open the span'], ['e', 'Next error'], ['/', 'Search in the trace'], ['Esc', 'Close']]],
  ['Filter', [['/', 'Into the filter line'], ['↑ ↓', 'Choose a completion'], ['Tab', 'Take it'], ['Enter', 'Apply'], ['Esc', 'Leave it as it was']]],
];

export function KeysOverlay({ close }: { close: () => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (ref.current && !ref.current.open) ref.current.showModal();
  }, []);
  return (
    <dialog ref={ref} className="keys" aria-label="Keys" data-testid="keys-overlay" onClose={close} onClick={(e) => e.target === ref.current && close()}>
      <div className="keys-body">
        {KEYS.map(([group, keys]) => (
          <section key={group}>
            <h2>{group}</h2>
            <dl>
              {keys.map(([key, meaning]) => (
                <div key={key}><dt>{key.split(' ').map((k) => <kbd key={k}>{k}</kbd>)}</dt><dd>{meaning}</dd></div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}
