// A floating panel at an anchor, kept inside the window. It closes on Esc, on a press outside and on scrolling
// away of its anchor's page; it does not trap the focus.
import { useCallback, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore, type ReactNode } from 'react';
import { createPortal } from 'react-dom';
import { useEscape } from '../state/keys';
import './popover.css';

export interface PopoverProps {
  anchor: DOMRect;
  onClose: () => void;
  label: string;
  children: ReactNode;
  align?: 'start' | 'end';
  role?: 'dialog' | 'menu';
}

let openCount = 0;
const watchers = new Set<() => void>();

function countOpen(by: 1 | -1): void {
  openCount += by;
  watchers.forEach((watcher) => watcher());
}

/** Whether anything floats: what lies beneath should hold still then. */
export const usePopoverOpen = (): boolean =>
  useSyncExternalStore((watcher) => {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }, () => openCount > 0);

const GAP = 6;
const EDGE = 8;

/** Below the anchor if there is room, else above it. */
function place(anchor: DOMRect, box: DOMRect, align: 'start' | 'end'): { left: number; top: number } {
  const wanted = align === 'start' ? anchor.left : anchor.right - box.width;
  const left = Math.max(EDGE, Math.min(wanted, window.innerWidth - box.width - EDGE));
  const below = anchor.bottom + GAP;
  const fits = below + box.height <= window.innerHeight - EDGE;
  return { left, top: fits ? below : Math.max(EDGE, anchor.top - GAP - box.height) };
}

export function Popover({ anchor, onClose, label, children, align = 'start', role = 'dialog' }: PopoverProps) {
  const ref = useRef<HTMLDivElement>(null);
  const [position, setPosition] = useState<{ left: number; top: number } | null>(null);
  useEscape(onClose);
  useEffect(() => {
    countOpen(1);
    return () => countOpen(-1);
  }, []);
  useLayoutEffect(() => {
    if (ref.current) setPosition(place(anchor, ref.current.getBoundingClientRect(), align));
  }, [anchor, align]);
  useEffect(() => {
    const onPress = (event: PointerEvent): void => {
      if (!ref.current?.contains(event.target as Node)) onClose();
    };
    document.addEventListener('pointerdown', onPress, true);
    return () => document.removeEventListener('pointerdown', onPress, true);
  }, [onClose]);
  return createPortal(
    <div ref={ref} className="popover" role={role} aria-label={label} style={position ?? { visibility: 'hidden', left: 0, top: 0 }}>
      {children}
    </div>,
    document.body,
  );
}

interface Toggle {
  anchor: DOMRect | null;
  toggle: (element: HTMLElement) => void;
  close: () => void;
}

/** State of a button that opens a popover; focus goes back to the button when it closes. */
export function usePopover(): Toggle {
  const [anchor, setAnchor] = useState<DOMRect | null>(null);
  const opener = useRef<HTMLElement | null>(null);
  const closedAt = useRef(0);
  const close = useCallback(() => {
    closedAt.current = Date.now();
    setAnchor(null);
    opener.current?.focus({ preventScroll: true });
  }, []);
  const toggle = useCallback((element: HTMLElement) => {
    // The press that closed it from outside is followed by a click on the same button.
    if (Date.now() - closedAt.current < 250) return;
    opener.current = element;
    setAnchor(element.getBoundingClientRect());
  }, []);
  return { anchor, toggle, close };
}
