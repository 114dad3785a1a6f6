// The dense table. Only the rows in sight exist; the header sticks; columns are resized at their right edge.
import { useTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, type CSSProperties } from 'react';
import type { RequestRow } from '../../api/types';
import { Icon } from '../../components/Icon';
import { count } from '../../format/units';
import { COLUMNS } from './columns';
import { HeaderRow } from './HeaderRow';
import { failed } from './StatusMark';
import { features, useColumnState } from './tableColumns';

export const ROW_HEIGHT = 28;
/** Older rows are asked for this many rows before the end comes into sight. */
const AHEAD = 40;

interface Props {
  rows: RequestRow[];
  slowUs: number;
  current: string | null;
  open: (row: RequestRow) => void;
  /** The rows belong to the previous filter or range and will be replaced. */
  stale: boolean;
  onPointerMove: () => void;
  onScrolled: (away: boolean) => void;
  waiting: number;
  more: boolean;
  takeNew: () => void;
  loadOlder: (() => void) | null;
  loadingOlder: boolean;
}

/** Sizes as one grid template, so that resizing changes a single style and not every cell. */
function template(ids: string[], size: (id: string) => number): string {
  return ids.map((id) => (COLUMNS.find((c) => c.id === id)?.grows ? `minmax(${size(id)}px, 1fr)` : `${size(id)}px`)).join(' ');
}

export function RequestTable(props: Props) {
  const { rows, slowUs, current, open, stale, onPointerMove, onScrolled, waiting, more, takeNew, loadOlder, loadingOlder } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const table = useTable({ features, data: rows, getRowId: (row) => row._id, columnResizeMode: 'onChange', ...useColumnState() });
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_HEIGHT, overscan: 14, scrollPaddingStart: ROW_HEIGHT });
  const headers = table.getHeaderGroups()[0]?.headers ?? [];
  const ids = headers.map((h) => h.column.id);
  const columns = ids.map((id) => COLUMNS.find((c) => c.id === id)!);
  const items = virtual.getVirtualItems();
  const lastSeen = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (loadOlder && lastSeen >= rows.length - AHEAD) loadOlder();
  }, [loadOlder, lastSeen, rows.length]);
  useEffect(() => {
    const at = rows.findIndex((row) => row._id === current);
    if (at >= 0) virtual.scrollToIndex(at, { align: 'auto' });
    // Only a change of the current row scrolls; rows that arrive must not.
  }, [current]); // eslint-disable-line react-hooks/exhaustive-deps
  const style = { '--columns': template(ids, (id) => table.getColumn(id)?.getSize() ?? 100), '--width': `calc(${table.getTotalSize()}px + 2 * var(--row-inset))` } as CSSProperties;
  return (
    <div className={`table-box ${stale ? 'stale' : ''}`}>
      {waiting > 0 && <button className="button primary new-rows" onClick={() => { takeNew(); virtual.scrollToOffset(0); }}><Icon name="up" size={14} /> {count(waiting)}{more ? '+' : ''} new</button>}
      <div ref={scroller} className="table-scroll" style={style} role="table" aria-label="Requests" aria-rowcount={rows.length} onPointerMove={onPointerMove} onScroll={(e) => onScrolled(e.currentTarget.scrollTop > 4)}>
        <HeaderRow headers={headers} />
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map((item) => {
            const row = rows[item.index]!;
            const context = { row, slowUs, open: () => open(row) };
            return (
              <div key={row._id} role="row" aria-rowindex={item.index + 1} aria-selected={row._id === current} data-testid="request-row" tabIndex={0}
                className={`table-row ${row._id === current ? 'current' : ''} ${failed(row.response_status) ? 'failed' : ''}`} style={{ top: item.start }}
                onClick={() => open(row)} onKeyDown={(e) => e.key === 'Enter' && e.target === e.currentTarget && open(row)}>
                {columns.map((c) => <div key={c.id} role="cell" className={c.numeric ? 'cell num' : 'cell'}>{c.cell(context)}</div>)}
              </div>
            );
          })}
        </div>
        <p className="table-end muted">{loadingOlder ? 'Loading older requests…' : loadOlder ? '' : `That is all: ${count(rows.length)} requests in this range.`}</p>
      </div>
    </div>
  );
}
