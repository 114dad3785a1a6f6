// What of the trace is shown: folded calls, the current one, what the search finds.
import { useCallback, useMemo, useState } from 'react';
import type { Trace } from '../../api/types';
import { usePatch, useSearchState } from '../../state/useUrl';
import { ancestorsOf, callsOf, linesOf, matches, nextOf, scaleOf, type Call } from './tree';

const NONE: ReadonlySet<string> = new Set();

function without(folded: ReadonlySet<string>, ids: string[]): ReadonlySet<string> {
  if (!ids.some((id) => folded.has(id))) return folded;
  return new Set([...folded].filter((id) => !ids.includes(id)));
}

/** All calls of the trace, in the order of the lines when nothing is folded. */
export function useCalls(trace: Trace) {
  return useMemo(() => {
    const calls = linesOf(callsOf(trace.spans), NONE);
    const bySpan = new Map(calls.flatMap((call) => call.spans.map((span) => [span.id, call] as const)));
    const orphans = callsOf(trace.orphans);
    return { calls, bySpan, orphans, scale: scaleOf(calls) };
  }, [trace]);
}

export function useTree(id: string, calls: Call[], bySpan: Map<string, Call>, orphans: Call[]) {
  const search = useSearchState();
  const patch = usePatch();
  const [folded, setFolded] = useState(NONE);
  // Whoever came by a span further down sees where it is.
  const [active, setActive] = useState(() => (bySpan.get(id)?.parent ? bySpan.get(id)!.id : null));
  const [withOrphans, setWithOrphans] = useState(false);
  const opened = search.span === undefined ? null : (bySpan.get(search.span) ?? orphans.find((c) => c.id === search.span) ?? null);
  const current = opened?.id ?? active;
  const lines = useMemo(() => linesOf(calls, folded), [calls, folded]);
  const find = search.find ?? '';
  const found = useMemo(() => new Set(find.trim() === '' ? [] : calls.filter((c) => matches(c, find)).map((c) => c.id)), [calls, find]);

  /** Unfolds what hides it. */
  const show = useCallback((call: Call) => {
    setActive(call.id);
    setFolded((f) => without(f, ancestorsOf(call).map((c) => c.id)));
    // An open drawer follows the line.
    if (search.span !== undefined) patch({ span: call.id }, { replace: true });
  }, [patch, search.span]);
  const open = useCallback((call: Call) => {
    setActive(call.id);
    patch({ span: call.id }, { replace: search.span !== undefined });
  }, [patch, search.span]);
  const close = useCallback(() => {
    setActive(current);
    patch({ span: undefined });
  }, [patch, current]);
  const toggle = useCallback((call: Call) => setFolded((f) => (f.has(call.id) ? without(f, [call.id]) : new Set([...f, call.id]))), []);
  const foldable = calls.filter((c) => c.children.length > 0 && c.parent !== null);
  const allFolded = foldable.length > 0 && foldable.every((c) => folded.has(c.id));
  const foldAll = (): void => setFolded(allFolded ? NONE : new Set(foldable.map((c) => c.id)));

  const visible = withOrphans ? [...lines, ...orphans] : lines;
  const step = (by: 1 | -1): void => {
    const at = visible.findIndex((c) => c.id === current);
    const next = visible[at < 0 ? 0 : Math.max(0, Math.min(visible.length - 1, at + by))];
    if (next) show(next);
  };
  const showNext = (fits: (call: Call) => boolean): void => {
    const next = nextOf(calls, current, fits);
    if (next) show(next);
  };
  const currentCall = visible.find((c) => c.id === current) ?? null;
  /** As in trees everywhere: fold what is unfolded, else go up. */
  const left = (): void => {
    if (!currentCall) return;
    if (currentCall.children.length > 0 && !folded.has(currentCall.id)) toggle(currentCall);
    else if (currentCall.parent) show(currentCall.parent);
  };
  const right = (): void => {
    if (!currentCall) return;
    if (folded.has(currentCall.id)) toggle(currentCall);
    else if (currentCall.children[0]) show(currentCall.children[0]);
  };
  return { folded, lines, current, currentCall, opened, find, found, open, close, show, toggle, foldable: foldable.length > 0, allFolded, foldAll, step, left, right, showNext, withOrphans, setWithOrphans, patch };
}
