// Keys of the page. Handlers are found by what was typed last, so `g m` is simply a longer name than `j`.
import { useEffect, useRef } from 'react';

export type KeyMap = Record<string, () => void>;

const maps = new Set<{ current: KeyMap }>();
const escapes: { current: () => void }[] = [];
let prefix = '';
let prefixTimer = 0;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

function handlerFor(keys: string): (() => void) | undefined {
  // The view mounted last is asked first.
  return [...maps].reverse().map((map) => map.current[keys]).find(Boolean);
}

/** Many keyboards need AltGr for `[` and `]`, which some systems report as Ctrl and Alt. */
const isShortcut = (event: KeyboardEvent): boolean => event.metaKey || ((event.ctrlKey || event.altKey) && !event.getModifierState('AltGraph'));

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || isShortcut(event)) return;
  if (event.key === 'Escape') return escapes.at(-1)?.current();
  if (isTyping(event.target) || document.querySelector('dialog[open]')) return;
  const typed = prefix + event.key;
  prefix = '';
  window.clearTimeout(prefixTimer);
  if (event.key === 'g' && typed === 'g') {
    prefix = 'g ';
    prefixTimer = window.setTimeout(() => (prefix = ''), 1200);
    return;
  }
  // Enter on a focused control belongs to that control.
  if (event.key === 'Enter' && event.target instanceof HTMLElement && event.target.closest('button, a, [role=button]')) return;
  const handler = handlerFor(typed);
  if (!handler) return;
  event.preventDefault();
  handler();
}

export const startKeys = (): void => window.addEventListener('keydown', onKey);

export function useKeys(keys: KeyMap): void {
  const ref = useRef(keys);
  useEffect(() => {
    ref.current = keys;
  });
  useEffect(() => {
    maps.add(ref);
    return () => void maps.delete(ref);
  }, []);
}

/** Esc closes what was opened last and nothing else. */
export function useEscape(close: () => void, active = true): void {
  const ref = useRef(close);
  useEffect(() => {
    ref.current = close;
  });
  useEffect(() => {
    if (!active) return;
    escapes.push(ref);
    return () => void escapes.splice(escapes.indexOf(ref), 1);
  }, [active]);
}
