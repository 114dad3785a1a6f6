// Positions over time: laid out anew only when cards or links come or go, moved smoothly, and never again moved
// by the layout once a person has dragged a card somewhere.
import { useEffect, useMemo, useRef, useState } from 'react';
import { layoutMap, signatureOf, type Direction, type Layout, type Point } from './layout';
import type { MapModel } from './model';

const MOVE_MS = 320;

type Places = Map<string, Point>;

export interface PlacesState {
  layout: Layout;
  places: Places;
  /** Cards whose links no longer follow the layout's routes. */
  moved: Places;
  moving: boolean;
  move: (id: string, to: Point) => void;
  reset: () => void;
}

const storageKey = (groupBy: string): string => `hadal.map.${groupBy}`;

function loadMoved(groupBy: string): Places {
  try {
    return new Map(JSON.parse(localStorage.getItem(storageKey(groupBy)) ?? '[]') as [string, Point][]);
  } catch {
    return new Map();
  }
}

const mix = (a: Point, b: Point, t: number): Point => ({ x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t });
const ease = (t: number): number => 1 - (1 - t) ** 3;

/** Goes from the last shown places to the target ones; cards that are new start at their target. */
function useSmooth(target: Places): { places: Places; moving: boolean } {
  const [shown, setShown] = useState(target);
  const [moving, setMoving] = useState(false);
  const last = useRef(shown);
  useEffect(() => {
    const from = last.current;
    const changes = [...target].some(([id, p]) => from.has(id) && (from.get(id)!.x !== p.x || from.get(id)!.y !== p.y));
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    const start = performance.now();
    let frame = 0;
    const step = (now: number): void => {
      const t = changes && !still ? Math.min(1, (now - start) / MOVE_MS) : 1;
      last.current = t < 1 ? new Map([...target].map(([id, p]) => [id, mix(from.get(id) ?? p, p, ease(t))])) : target;
      setShown(last.current);
      setMoving(t < 1);
      if (t < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [target]);
  return { places: shown, moving };
}

export function usePlaces(model: MapModel, groupBy: string, direction: Direction, compact: boolean): PlacesState {
  const signature = signatureOf(model, direction) + compact;
  const latest = useRef(model);
  latest.current = model;
  // Only the signature matters: the model is a new object with every refresh.
  const layout = useMemo(() => layoutMap(latest.current, direction, compact), [signature, direction, compact]); // eslint-disable-line react-hooks/exhaustive-deps
  const { places: smooth, moving } = useSmooth(layout.positions);
  const key = `${groupBy}.${direction}`;
  const [stored, setStored] = useState(() => ({ key, moved: loadMoved(key) }));
  const moved = useMemo(() => (stored.key === key ? stored.moved : loadMoved(key)), [stored, key]);
  const places = useMemo(() => {
    const all = new Map(layout.positions);
    smooth.forEach((p, id) => all.has(id) && all.set(id, p));
    moved.forEach((p, id) => all.has(id) && all.set(id, p));
    return all;
  }, [layout, smooth, moved]);
  const store = (next: Places): void => {
    localStorage.setItem(storageKey(key), JSON.stringify([...next]));
    setStored({ key, moved: next });
  };
  return { layout, places, moved, moving, move: (id, to) => store(new Map(moved).set(id, to)), reset: () => store(new Map()) };
}
