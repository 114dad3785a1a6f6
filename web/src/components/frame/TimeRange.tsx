// Choosing the time range: ranges that follow the present, or two moments.
import { useState, type FormEvent } from 'react';
import { fromInput, toInput } from '../../format/time';
import { isLive, LAST_NAMES, rangeName, shifted, windowOf } from '../../state/range';
import { LASTS, type Last } from '../../state/search';
import { useRange } from '../../state/useUrl';
import { Icon } from '../Icon';
import { onMenuKeys } from '../menuKeys';
import { Popover, usePopover } from '../Popover';

function Absolute({ done }: { done: () => void }) {
  const { range, setRange } = useRange();
  const shown = windowOf(range);
  const [from, setFrom] = useState(toInput(shown.from));
  const [to, setTo] = useState(toInput(shown.to));
  const valid = fromInput(from) < fromInput(to);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!valid) return;
    setRange({ last: range.last, from: fromInput(from), to: fromInput(to) });
    done();
  };
  return (
    <form className="absolute" onSubmit={submit}>
      <label>From<input className="field" type="datetime-local" step="1" value={from} onChange={(e) => setFrom(e.target.value)} /></label>
      <label>To<input className="field" type="datetime-local" step="1" value={to} onChange={(e) => setTo(e.target.value)} /></label>
      {!valid && <p className="error-text small">The end must be after the start.</p>}
      <button className="button primary" disabled={!valid}>Show this range</button>
    </form>
  );
}

function Choice({ close }: { close: () => void }) {
  const { range, live, setRange } = useRange();
  const pick = (last: Last): void => {
    setRange({ last });
    close();
  };
  return (
    <div className="range-choice" onKeyDown={onMenuKeys}>
      <div role="group" aria-label="Ranges that follow the present">
        {(Object.keys(LASTS) as Last[]).map((last) => (
          <button key={last} className="menu-item" role="menuitemradio" aria-checked={live && range.last === last} onClick={() => pick(last)}>
            {LAST_NAMES[last]}
          </button>
        ))}
      </div>
      <Absolute done={close} />
    </div>
  );
}

export function TimeRange() {
  const { range, setRange } = useRange();
  const { anchor, toggle, close } = usePopover();
  return (
    <span className="time-range" data-testid="time-range">
      <button className="icon-button" title="Half a range back ([)" aria-label="Half a range back" onClick={() => setRange(shifted(range, -1))}><Icon name="left" size={14} /></button>
      <button className="time-name" aria-haspopup="dialog" aria-expanded={anchor !== null} title="Choose the time range" onClick={(e) => toggle(e.currentTarget)}>
        {rangeName(range)} <Icon name="chevron" size={14} />
      </button>
      <button className="icon-button" disabled={isLive(range)} title="Half a range forth (])" aria-label="Half a range forth" onClick={() => setRange(shifted(range, 1))}><Icon name="right" size={14} /></button>
      {anchor && <Popover anchor={anchor} onClose={close} label="Time range" align="end"><Choice close={close} /></Popover>}
    </span>
  );
}
