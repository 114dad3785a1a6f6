import type { Header } from '@tanstack/react-table';
import type { RequestRow } from '../../api/types';
import { Icon } from '../../components/Icon';
import type { Order } from '../../state/search';
import { usePatch, useSearchState } from '../../state/useUrl';
import { COLUMNS } from './columns';
import type { features } from './tableColumns';

type Head = Header<typeof features, RequestRow, unknown>;

/** The server sorts by these two; sorting a window of rows by anything else would lie. */
const ORDERS: Record<string, Order> = { time: 'time', clock: 'time', latency: 'latency' };

function Name({ head }: { head: Head }) {
  const column = COLUMNS.find((c) => c.id === head.column.id)!;
  const order = useSearchState().order ?? 'time';
  const patch = usePatch();
  const sorts = ORDERS[column.id];
  if (!sorts) return <span className="clip" title={column.name}>{column.head ?? column.name}</span>;
  const title = sorts === 'time' ? 'Newest first' : 'Slowest first';
  return (
    <button className={`sort ${order === sorts ? 'on' : ''}`} title={title} onClick={() => patch({ order: sorts === 'time' ? undefined : sorts })}>
      {column.head ?? column.name} {order === sorts && <Icon name="chevron" size={12} />}
    </button>
  );
}

export function HeaderRow({ headers }: { headers: Head[] }) {
  const order = useSearchState().order ?? 'time';
  return (
    <div role="rowgroup" className="table-head">
      <div role="row" className="table-row head">
        {headers.map((head) => {
          const column = COLUMNS.find((c) => c.id === head.column.id)!;
          const sorted = ORDERS[column.id] === order ? 'descending' : undefined;
          return (
            <div key={head.id} role="columnheader" aria-sort={sorted} className={column.numeric ? 'cell num' : 'cell'}>
              <Name head={head} />
              <span className="resizer" aria-hidden="true" onMouseDown={head.getResizeHandler()} onTouchStart={head.getResizeHandler()} onDoubleClick={() => head.column.resetSize()} />
            </div>
          );
        })}
      </div>
    </div>
  );
}
