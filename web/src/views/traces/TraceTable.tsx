// Traces as rows, each with the bar of its duration. Only the rows in sight exist.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';
import type { RequestRow } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Value } from '../../components/Value';
import { callName } from '../../format/endpoints';
import { clock, clockMillis, day, full } from '../../format/time';
import { duration, NONE, plural } from '../../format/units';
import { serviceColour } from '../../theme/serviceColour';
import { failed, StatusMark } from '../requests/StatusMark';

const ROW_HEIGHT = 28;
const AHEAD = 30;

interface Props {
  rows: RequestRow[];
  slowUs: number;
  current: string | null;
  open: (row: RequestRow) => void;
  stale: boolean;
  loadMore: (() => void) | null;
  loading: boolean;
}

/** Today goes without saying, and milliseconds where there is no room. */
function Began({ us }: { us: number }) {
  const today = day(Date.now() / 1000) === day(us / 1e6);
  return <>{!today && `${day(us / 1e6).slice(5)} `}{clock(us / 1e6)}<span className="t-millis">{clockMillis(us).slice(clock(us / 1e6).length)}</span></>;
}

function Row({ row, longest, slowUs, open }: { row: RequestRow; longest: number; slowUs: number; open: () => void }) {
  const colour = serviceColour(row.server);
  const took = row.response_duration_us;
  const slow = took !== null && took > slowUs;
  const action = { icon: 'traces', label: 'Open trace', run: open } as const;
  const what = callName(row);
  return (
    <>
      <span role="cell" className="cell t-time" title={`began ${full(row.start_time_us)}`}><Began us={row.start_time_us} /></span>
      <span role="cell" className="cell"><i className="service-dot" style={{ background: colour }} aria-hidden="true" /><Value tag="auto_service_1" value={row.server} open={action} /></span>
      <span role="cell" className="cell"><Value tag="endpoint" value={row.endpoint || what} className="mono" open={action}>{what}</Value></span>
      <span role="cell" className="cell t-client"><Value tag="auto_service_0" value={row.client} className="muted" open={action} /></span>
      <span role="cell" className="cell t-status" title={row.response_exception || row.response_status}><StatusMark status={row.response_status} /><span className={`t-word ${failed(row.response_status) ? 'error-text' : 'muted'}`}>{row.response_code ?? row.response_status.replace('_', ' ')}</span></span>
      <span role="cell" className="cell num"><span className={slow ? 'slow-text' : ''} title={slow ? `slower than ${duration(slowUs)}` : took === null ? 'no answer was seen' : undefined}>{slow && <Icon name="clock" size={12} />} {took === null ? NONE : duration(took)}</span></span>
      <span role="presentation" className="t-bar" aria-hidden="true">{took !== null && <i style={{ width: `max(2px, ${(took / longest) * 100}%)`, background: colour }} />}</span>
    </>
  );
}

export function TraceTable({ rows, slowUs, current, open, stale, loadMore, loading }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_HEIGHT, overscan: 14, scrollPaddingStart: ROW_HEIGHT });
  const items = virtual.getVirtualItems();
  const lastSeen = items.at(-1)?.index ?? 0;
  const longest = rows.reduce((most, row) => Math.max(most, row.response_duration_us ?? 0), 1);
  useEffect(() => {
    if (loadMore && lastSeen >= rows.length - AHEAD) loadMore();
  }, [loadMore, lastSeen, rows.length]);
  useEffect(() => {
    const at = rows.findIndex((row) => row._id === current);
    if (at >= 0) virtual.scrollToIndex(at, { align: 'auto' });
    // Only a change of the current row scrolls; rows that arrive must not.
  }, [current]); // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <div className={`table-box ${stale ? 'stale' : ''}`}>
      <div ref={scroller} className="table-scroll trace-table" role="table" aria-label="Traces" aria-rowcount={rows.length}>
        <div role="rowgroup" className="table-head">
          <div role="row" className="table-row head">
            <span role="columnheader" className="cell">Began</span>
            <span role="columnheader" className="cell">Service</span>
            <span role="columnheader" className="cell">Endpoint</span>
            <span role="columnheader" className="cell t-client">Client</span>
            <span role="columnheader" className="cell t-status"><span className="t-word">Status</span></span>
            <span role="columnheader" className="cell num">Duration</span>
            <span className="t-bar" />
          </div>
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map((item) => {
            const row = rows[item.index]!;
            return (
              <div key={row._id} role="row" aria-rowindex={item.index + 1} aria-selected={row._id === current} data-testid="trace-row" tabIndex={0}
                className={`table-row ${row._id === current ? 'current' : ''} ${failed(row.response_status) ? 'failed' : ''}`} style={{ top: item.start }}
                onClick={() => open(row)} onKeyDown={(e) => e.key === 'Enter' && e.target === e.currentTarget && open(row)}>
                <Row row={row} longest={longest} slowUs={slowUs} open={() => open(row)} />
              </div>
            );
          })}
        </div>
        <p className="table-end muted">{loading ? 'Loading more traces…' : loadMore ? '' : `That is all: ${plural(rows.length, 'trace')} in this range.`}</p>
      </div>
    </div>
  );
}
