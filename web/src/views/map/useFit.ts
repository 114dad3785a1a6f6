// Which part of the map is seen. The whole map if its text stays readable, else its beginning at a readable size;
// it is fitted again only until a person has moved the view.
import { useReactFlow } from '@xyflow/react';
import { useCallback, useEffect, useRef, type RefObject } from 'react';
import type { CardSize } from './layout';
import type { PlacesState } from './usePlaces';

/** Below `fit` the text of a card is no longer easy to read, so fitting stops there and panning begins. */
export const ZOOM = { min: 0.35, fit: 0.82, max: 1.6 };
const MARGIN = { x: 28, y: 26 };
/** Kept free at the bottom for the buttons. */
const CONTROLS = 34;

interface Extent {
  x: number;
  y: number;
  width: number;
  height: number;
}

function extentOf({ places }: PlacesState, size: CardSize): Extent {
  const all = [...places.values()];
  const x = Math.min(...all.map((p) => p.x));
  const y = Math.min(...all.map((p) => p.y));
  return { x, y, width: Math.max(...all.map((p) => p.x)) + size.width - x, height: Math.max(...all.map((p) => p.y)) + size.height - y };
}

function viewportFor(extent: Extent, width: number, height: number): { x: number; y: number; zoom: number } {
  const wanted = Math.min((width - 2 * MARGIN.x) / extent.width, (height - 2 * MARGIN.y) / extent.height);
  const zoom = Math.min(1, Math.max(ZOOM.fit, wanted));
  // What does not fit begins at its beginning, not at its middle.
  const place = (room: number, length: number, margin: number): number => (length * zoom + 2 * margin <= room ? (room - length * zoom) / 2 : margin);
  // A small map looks lost at the very middle of a tall window: a little above it is where eyes look first.
  const y = Math.max(MARGIN.y, place(height, extent.height, MARGIN.y) * 0.78);
  return { x: place(width, extent.width, MARGIN.x) - extent.x * zoom, y: y - extent.y * zoom, zoom };
}

export function useFit(box: RefObject<HTMLDivElement | null>, placing: PlacesState, scope: string, selected: string | null, size: CardSize) {
  const flow = useReactFlow();
  const userMoved = useRef(false);
  const latest = useRef(placing);
  latest.current = placing;
  const fit = useCallback((animate = true) => {
    if (!box.current) return;
    userMoved.current = false;
    const { width, height } = box.current.getBoundingClientRect();
    void flow.setViewport(viewportFor(extentOf(latest.current, size), width, height - CONTROLS), { duration: animate ? 250 : 0 });
  }, [box, flow, size.width, size.height]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => {
    userMoved.current = false;
  }, [scope]);
  const shown = useRef(false);
  useEffect(() => {
    if (userMoved.current || !flow.viewportInitialized) return;
    // The layout's own positions are the target; cards may still be on their way there.
    const timer = window.setTimeout(() => {
      fit(shown.current);
      shown.current = true;
    }, shown.current ? 340 : 0);
    return () => window.clearTimeout(timer);
  }, [placing.layout, scope, fit, flow.viewportInitialized]);
  useEffect(() => {
    const timer = window.setTimeout(() => reveal(selected), 60);
    return () => window.clearTimeout(timer);
  }, [selected]); // eslint-disable-line react-hooks/exhaustive-deps

  /** The drawer takes room from the map; what is selected must not vanish behind it. */
  function reveal(id: string | null): void {
    const place = id === null ? undefined : latest.current.places.get(id);
    if (!place || !box.current) return;
    const { width, height } = box.current.getBoundingClientRect();
    const { x, y, zoom } = flow.getViewport();
    const left = place.x * zoom + x;
    const top = place.y * zoom + y;
    const shift = (start: number, length: number, room: number): number => (start < 16 ? 16 - start : start + length > room - 16 ? room - 16 - start - length : 0);
    const dx = shift(left, size.width * zoom, width);
    const dy = shift(top, size.height * zoom, height);
    if (dx !== 0 || dy !== 0) void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: 220 });
  }
  return { fit: () => fit(true), onUserMove: () => (userMoved.current = true) };
}
