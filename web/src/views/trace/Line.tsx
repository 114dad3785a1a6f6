// One call: its place and name to the left, its time to the right.
import { memo } from 'react';
import { Icon } from '../../components/Icon';
import { duration } from '../../format/units';
import { serviceColour } from '../../theme/serviceColour';
import { StatusMark } from '../requests/StatusMark';
import { barOf, type Bar, type Shade } from './bars';
import { confidenceOf, evidenceOf, isDoubtful } from './evidence';
import { countBelow, headOf, isClientSide, lastOf, nameOf, type Call, type Scale } from './tree';

interface Props {
  call: Call;
  scale: Scale;
  top: number;
  index: number;
  current: boolean;
  found: boolean;
  folded: boolean;
  orphan: boolean;
  open: (call: Call) => void;
  toggle: (call: Call) => void;
}

/** Deeper calls stay at this indent, which still leaves room for their names. */
const DEEPEST = 14;

const percent = (n: number): string => `${(n * 100).toFixed(3)}%`;

/** Of a call without a sure parent only one end is at hand, so its bar tells no shares. */
const shadeOf = (shade: Shade, orphan: boolean): Shade => (orphan ? 'waiting' : shade);

function Times({ bar, colour, open, orphan }: { bar: Bar; colour: string; open: boolean; orphan: boolean }) {
  return (
    <span className="line-track" style={{ '--colour': colour } as React.CSSProperties}>
      {bar.stretches.map((s, i) => <i key={i} className={`stretch ${shadeOf(s.shade, orphan)} ${open ? 'no-answer' : ''}`} style={{ left: percent(s.start), width: `max(2px, ${percent(s.length)})` }} />)}
      {bar.critical.map((c, i) => <i key={`c${i}`} className="critical" style={{ left: percent(c.start), width: `max(1px, ${percent(c.length)})` }} />)}
    </span>
  );
}

/** The bar in words, for whoever rests on it. */
function wordsOf(call: Call, orphan: boolean): string {
  const last = lastOf(call);
  const { network_us } = headOf(call);
  const took = call.open ? 'no answer was seen' : duration(call.end - call.start);
  if (orphan) return took;
  const parts = isClientSide(last)
    ? ['the server was not seen from inside']
    : [`${duration(last.self_us)} itself`, last.waiting_us > 0 && `${duration(last.waiting_us)} waiting for calls`, network_us !== null && `${duration(network_us)} on the network and in queues`];
  return `${took}: ${parts.filter(Boolean).join(', ')}`;
}

function Elbow({ call, orphan }: { call: Call; orphan: boolean }) {
  if (orphan) return <span className="elbow-mark slow-text" title="No sure parent: the process worked on more than one request, or nothing told them apart."><Icon name="not" size={12} /></span>;
  if (!call.parent) return null;
  const doubtful = isDoubtful(call);
  return <i className={`elbow ${doubtful ? 'doubtful' : ''}`} title={`${evidenceOf(call)} (${confidenceOf(call)})`}>{doubtful && <span>?</span>}</i>;
}

function Fold({ call, folded, toggle }: Pick<Props, 'call' | 'folded' | 'toggle'>) {
  if (call.children.length === 0) return <span className="fold" />;
  const label = folded ? `Unfold ${countBelow(call)} calls (→)` : 'Fold (←)';
  return (
    <button className="fold" tabIndex={-1} aria-label={label} title={label} onClick={(e) => { e.stopPropagation(); toggle(call); }}>
      <Icon name={folded ? 'right' : 'chevron'} size={12} />
    </button>
  );
}

export const Line = memo(function Line({ call, scale, top, index, current, found, folded, orphan, open, toggle }: Props) {
  const { row } = lastOf(call);
  const name = nameOf(call);
  const colour = serviceColour(row.server);
  const bar = barOf(call, scale);
  return (
    <div role="treeitem" id={`line-${call.id}`} aria-level={call.depth + 1} aria-posinset={index + 1} aria-setsize={-1} aria-selected={current} aria-expanded={call.children.length > 0 ? !folded : undefined} data-testid="trace-line" data-id={call.id}
      className={`line ${current ? 'current' : ''} ${call.failed ? 'failed' : ''} ${found ? 'found' : ''}`} style={{ top, '--depth': Math.min(call.depth, DEEPEST) } as React.CSSProperties} onClick={() => open(call)}>
      <span className="line-name">
        <Elbow call={call} orphan={orphan} />
        <Fold call={call} folded={folded} toggle={toggle} />
        {row.response_status === 'ok' ? <i className="service-dot" style={{ background: colour }} aria-hidden="true" /> : <span title={row.response_status.replace('_', ' ')}><StatusMark status={row.response_status} /></span>}
        <span className="two-names" title={`${row.server} ${name}`}><b>{row.server}</b><span className={call.failed ? 'error-text' : 'muted'}>{name}</span></span>
        {folded && <span className="chip" title={`${countBelow(call)} calls are folded`}>+{countBelow(call)}</span>}
      </span>
      <span className={`line-time num ${call.failed ? 'error-text' : ''}`}>{call.open ? <span title="No answer was seen">no answer</span> : duration(call.end - call.start)}</span>
      <span title={wordsOf(call, orphan)}><Times bar={bar} colour={colour} open={call.open} orphan={orphan} /></span>
    </div>
  );
});
