import { useEffect, useRef } from 'react';

const KEYS: [string, [string, string][]][] = [
  ['Go', [['g m', 'Map'], ['g r', 'Requests'], ['g a', 'Agents'], ['/', 'Filter line'], ['?', 'This list']]],
  ['Time', [['[', 'Half a range back'], [']', 'Half a range forth'], ['.', 'Live or paused'], ['drag', 'Zoom on a chart; back undoes it']]],
  ['Rows and drawers', [['j', 'Next row'], ['k', 'Previous row'], ['Enter', 'Open'], ['Esc', 'Close'], ['Tab', 'Next service or control']]],
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
