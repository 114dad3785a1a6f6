// Theme: what the person chose, else what their system asks for. Kept in this browser, not in the address:
// a link should not change how a colleague's screen looks.
import { useSyncExternalStore } from 'react';

export type Theme = 'light' | 'dark';
type Choice = Theme | 'system';

const KEY = 'hadal.theme';
const system = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function choice(): Choice {
  const stored = localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

const current = (): Theme => {
  const chosen = choice();
  return chosen === 'system' ? (system.matches ? 'dark' : 'light') : chosen;
};

function apply(): void {
  document.documentElement.dataset['theme'] = current();
  listeners.forEach((listener) => listener());
}

export function startTheme(): void {
  system.addEventListener('change', apply);
  apply();
}

/** Back to the system's wish when that is what was asked for, so that day and night keep working. */
export function setTheme(theme: Theme): void {
  const followsSystem = theme === (system.matches ? 'dark' : 'light');
  if (followsSystem) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  apply();
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useTheme = (): Theme => useSyncExternalStore(subscribe, current);

/** Canvas cannot read CSS variables, so `var(--x)` is resolved here. */
export function resolveColour(colour: string): string {
  const name = /^var\((--[\w-]+)\)$/.exec(colour)?.[1];
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name).trim() : colour;
}
