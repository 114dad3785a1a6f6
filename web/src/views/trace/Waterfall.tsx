// The calls from top to bottom, their times on one scale. Only the lines in sight exist.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';
import { duration } from '../../format/units';
import { ticksOf } from './bars';
import { Line } from './Line';
import type { Call, Scale } from './tree';

const LINE_HEIGHT = 26;
const RULER_HEIGHT = 24;
const TICKS = 5;

interface Props {
  lines: Call[];
  orphans: Call[];
  scale: Scale;
  current: string | null;
  found: ReadonlySet<string>;
  folded: ReadonlySet<string>;
  open: (call: Call) => void;
  toggle: (call: Call) => void;
}

function Ruler({ scale }: { scale: Scale }) {
  const ticks = ticksOf(scale, TICKS);
  const width = scale.to - scale.from;
  return (
    <div className="ruler">
      <span className="muted">Call</span>
      <span className="muted num">Duration</span>
      <span className="ruler-track">
        {ticks.map((at) => <i key={at} className={at / width > 0.9 ? 'end' : ''} style={{ left: `${(at / width) * 100}%` }}><span>{duration(Math.round(at))}</span></i>)}
      </span>
    </div>
  );
}

/** Lines through all rows at the ruler's times. */
function Grid({ scale }: { scale: Scale }) {
  const width = scale.to - scale.from;
  return <div className="grid-lines" aria-hidden="true"><span />{ticksOf(scale, TICKS).map((at) => <i key={at} style={{ '--at': at / width } as React.CSSProperties} />)}</div>;
}

export function Waterfall({ lines, orphans, scale, current, found, folded, open, toggle }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const all = orphans.length > 0 ? [...lines, ...orphans] : lines;
  const virtual = useVirtualizer({ count: all.length, getScrollElement: () => scroller.current, estimateSize: () => LINE_HEIGHT, overscan: 16, scrollPaddingEnd: RULER_HEIGHT, paddingEnd: 12 });
  useEffect(() => {
    const at = all.findIndex((c) => c.id === current);
    if (at >= 0) virtual.scrollToIndex(at, { align: 'auto' });
    // Only a change of the current line scrolls.
  }, [current]); // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <div ref={scroller} className="waterfall" role="tree" aria-label="Calls of the trace" tabIndex={0} aria-activedescendant={current ? `line-${current}` : undefined} data-testid="waterfall">
      <Ruler scale={scale} />
      <div role="presentation" className="lines" style={{ height: virtual.getTotalSize() }}>
        <Grid scale={scale} />
        {virtual.getVirtualItems().map((item) => {
          const call = all[item.index]!;
          return <Line key={call.id} call={call} scale={scale} top={item.start} index={item.index} current={call.id === current} found={found.has(call.id)} folded={folded.has(call.id)} orphan={item.index >= lines.length} open={open} toggle={toggle} />;
        })}
      </div>
    </div>
  );
}
