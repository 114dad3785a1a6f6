// A value that can be acted on: a click offers only this, not this, group by this and copy.
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, type MouseEvent, type ReactNode } from 'react';
import { useTags } from '../api/queries';
import { notThis, onlyThis } from '../filter/edit';
import { findKey, type FoundKey } from '../filter/keys';
import { sharedOf } from '../state/search';
import { useIsTrace, usePatch, useSearchState } from '../state/useUrl';
import { copyText } from './copy';
import { Icon, type IconName } from './Icon';
import { onMenuKeys } from './menuKeys';
import { Popover, usePopover } from './Popover';

interface Action {
  icon: IconName;
  label: string;
  run: () => void;
}

interface ValueProps {
  /** Key of the filter line; without one, or for an unknown one, only copying is offered. */
  tag?: string;
  value: string;
  children?: ReactNode;
  className?: string;
  /** What the thing around the value would do on a click, offered first. */
  open?: Action;
}

function useActions(found: FoundKey | null, value: string, open: Action | undefined): Action[] {
  const search = useSearchState();
  const patch = usePatch();
  const navigate = useNavigate();
  const isTrace = useIsTrace();
  const filter = search.filter ?? '';
  const actions: Action[] = open ? [open] : [];
  if (found) {
    const { key } = found;
    if (isTrace) {
      // No filter narrows a trace: the value leads to the requests that have it.
      const requests = { ...sharedOf(search), filter: onlyThis(filter, key, value) };
      actions.push({ icon: 'filter', label: 'Requests with this', run: () => void navigate({ to: '/requests', search: requests }) });
    } else {
      actions.push({ icon: 'filter', label: 'Only this', run: () => patch({ filter: onlyThis(filter, key, value) }) });
      actions.push({ icon: 'not', label: 'Not this', run: () => patch({ filter: notThis(filter, key, value) }) });
    }
  }
  if (found?.tag.two_sided) {
    const { tag } = found;
    const group = (): void => void navigate({ to: '/map', search: { ...sharedOf(search), group_by: tag.name } });
    actions.push({ icon: 'group', label: `Group map by ${tag.name}`, run: group });
  }
  actions.push({ icon: 'copy', label: 'Copy', run: () => copyText(value) });
  return actions;
}

function ValueMenu({ actions, title, value, anchor, close }: { actions: Action[]; title: string | undefined; value: string; anchor: DOMRect; close: () => void }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    ref.current?.querySelector<HTMLElement>('.menu-item')?.focus();
  }, []);
  return (
    <Popover anchor={anchor} onClose={close} label={`Actions for ${value}`} role="menu">
      <div ref={ref} onKeyDown={onMenuKeys}>
        <div className="menu-title">{title ? <>{title} = </> : null}<b>{value}</b></div>
        {actions.map(({ icon, label, run }) => (
          <button key={label} role="menuitem" className="menu-item" onClick={() => { close(); run(); }}>
            <Icon name={icon} /> {label}
          </button>
        ))}
      </div>
    </Popover>
  );
}

/** The menu's hooks live here, so that a table of values does not run them per cell. */
function OpenMenu(props: { tag: string | undefined; value: string; open: Action | undefined; anchor: DOMRect; close: () => void }) {
  const { data: tags } = useTags();
  const found = findKey(tags, props.tag);
  const actions = useActions(found, props.value, props.open);
  // As it is written in the filter line, which the name of a column is not.
  return <ValueMenu actions={actions} title={found?.key ?? props.tag} value={props.value} anchor={props.anchor} close={props.close} />;
}

export function Value({ tag, value, children, className = '', open }: ValueProps) {
  const { anchor, toggle, close } = usePopover();
  const onClick = (event: MouseEvent<HTMLElement>): void => {
    event.stopPropagation();
    toggle(event.currentTarget);
  };
  return (
    <>
      <button className={`value ${className}`} title={value} aria-haspopup="menu" onClick={onClick}>
        {children ?? value}
      </button>
      {anchor && <OpenMenu tag={tag} value={value} open={open} anchor={anchor} close={close} />}
    </>
  );
}
