// The table library's view of the columns, with which are shown and how wide they are kept in the address.
import { columnResizingFeature, columnSizingFeature, columnVisibilityFeature, tableFeatures, type ColumnDef, type ColumnSizingState, type Updater } from '@tanstack/react-table';
import { useEffect, useState } from 'react';
import type { RequestRow } from '../../api/types';
import { usePatch, useSearchState } from '../../state/useUrl';
import { chosenColumns, COLUMNS, formatWidths, parseWidths, type Room } from './columns';

export const features = tableFeatures({ columnSizingFeature, columnResizingFeature, columnVisibilityFeature });

const defs = (narrow: boolean): ColumnDef<typeof features, RequestRow>[] =>
  COLUMNS.map((c) => ({ id: c.id, header: c.name, size: narrow ? (c.narrow ?? c.width) : c.width, minSize: 24, maxSize: 1200, accessorFn: () => c.id }));

// Two fixed lists: the table takes a new one for a change of columns.
const WIDE = defs(false);
const SLIM = defs(true);

/** A resize is hundreds of steps; only where it ends goes into the address. */
const SETTLE_MS = 300;
const NARROW = 720;

/** How much of the window the table has. */
export function useRoom(): Room {
  const { request } = useSearchState();
  return window.innerWidth < NARROW ? 'narrow' : request === undefined ? 'wide' : 'beside';
}

export function useColumnState() {
  const search = useSearchState();
  const patch = usePatch();
  const [sizing, setSizing] = useState<ColumnSizingState>(() => parseWidths(search.widths));
  const [seen, setSeen] = useState(search.widths);
  if (seen !== search.widths) {
    setSeen(search.widths);
    setSizing(parseWidths(search.widths));
  }
  useEffect(() => {
    const text = formatWidths(sizing);
    if (text === search.widths) return;
    const timer = window.setTimeout(() => patch({ widths: text }, { replace: true }), SETTLE_MS);
    return () => window.clearTimeout(timer);
  }, [sizing, search.widths, patch]);
  const room = useRoom();
  const chosen = chosenColumns(search.columns, room);
  const columnVisibility = Object.fromEntries(COLUMNS.map((c) => [c.id, chosen.includes(c.id)]));
  return { columns: room === 'narrow' ? SLIM : WIDE, state: { columnVisibility, columnSizing: sizing }, onColumnSizingChange: (update: Updater<ColumnSizingState>) => setSizing(update) };
}
