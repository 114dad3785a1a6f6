import { Icon } from '../../components/Icon';
import { onMenuKeys } from '../../components/menuKeys';
import { Popover, usePopover } from '../../components/Popover';
import { usePatch, useSearchState } from '../../state/useUrl';
import { chosenColumns, COLUMNS } from './columns';
import { useRoom } from './tableColumns';

function Choices() {
  const search = useSearchState();
  const patch = usePatch();
  const chosen = chosenColumns(search.columns, useRoom());
  const toggle = (id: string): void => {
    // In the table's own order, whatever the order of clicking.
    const next = COLUMNS.map((c) => c.id).filter((c) => (c === id ? !chosen.includes(c) : chosen.includes(c)));
    if (next.length > 0) patch({ columns: next.join(',') }, { replace: true });
  };
  return (
    <div onKeyDown={onMenuKeys}>
      {COLUMNS.map((c) => (
        <button key={c.id} className="menu-item" role="menuitemcheckbox" aria-checked={chosen.includes(c.id)} onClick={() => toggle(c.id)}>
          <span className="tick">{chosen.includes(c.id) && <Icon name="check" size={14} />}</span>{c.name}
        </button>
      ))}
      <div className="menu-line" />
      <button className="menu-item" onClick={() => patch({ columns: undefined, widths: undefined }, { replace: true })}><span className="tick"><Icon name="reset" size={14} /></span>Usual columns</button>
    </div>
  );
}

export function ColumnsMenu() {
  const { anchor, toggle, close } = usePopover();
  return (
    <>
      <button className="button" aria-haspopup="menu" aria-expanded={anchor !== null} onClick={(e) => toggle(e.currentTarget)}><Icon name="columns" size={14} /> Columns</button>
      {anchor && <Popover anchor={anchor} onClose={close} label="Columns" role="menu" align="end"><Choices /></Popover>}
    </>
  );
}
