// An arrow of the map. Its width is the rate, its red part the share of errors; thin and dashed means that only
// connections were seen.
import { EdgeLabelRenderer, type Edge, type EdgeProps } from '@xyflow/react';
import { memo, useState, type CSSProperties, type KeyboardEvent } from 'react';
import { connections, duration, rate, ratio } from '../../format/units';
import type { Link } from './model';
import { linkWidth, type Shape } from './path';

export type CallEdgeType = Edge<{ link: Link; shape: Shape; labelled: boolean; faded: boolean; hair: boolean; selected: boolean; dim: boolean; lit: boolean; reachable: boolean; open: () => void }, 'call'>;

/** Any error at all must be visible, and a failing half must look like a half. */
const redShare = (errorRatio: number): number => (errorRatio > 0 ? Math.max(6, Math.min(100, errorRatio * 100)) : 0);

function describe(link: Link): string {
  const seen = link.requests > 0 ? `${rate(link.request_rate)}, ${ratio(link.error_ratio)} errors, p99 ${duration(link.p99_us)}` : connections(link.connections);
  return `${link.client} calls ${link.server}: ${link.protocols.join(', ')} ${seen}`;
}

/** Worth saying unasked: less than one in a hundred is red on the line, but no text. */
const TELLING = 0.01;

function Label({ link, full, errors }: { link: Link; full: boolean; errors: boolean }) {
  if (link.requests === 0) return <>{connections(link.connections)}</>;
  return (
    <>
      {rate(link.request_rate)}
      {full && <span className="muted"> · p99 {duration(link.p99_us)}</span>}
      {errors && <span className="error-text"> · {ratio(link.error_ratio)}{full && ' err'}</span>}
      {full && <span className="muted"> · {link.protocols.join(' ')}</span>}
    </>
  );
}

/** The rate above the line and the errors below it, or both in one where there is no room beside the line. */
function Labels({ link, shape, front }: { link: Link; shape: Shape; front: boolean }) {
  const { x, y } = shape.label;
  const at = (side: 1 | -1): CSSProperties => ({ transform: `translate(-50%, -50%) translate(${x + side * shape.lift.x}px, ${y + side * shape.lift.y}px)` });
  const apart = !front && shape.twoSided;
  const errors = front ? link.error_ratio > 0 : link.error_ratio >= TELLING;
  return (
    <EdgeLabelRenderer>
      <div className={`call-label ${front ? 'front' : ''} ${link.requests === 0 ? 'muted' : ''}`} style={at(1)}><Label link={link} full={front} errors={errors && !apart} /></div>
      {errors && apart && <div className="call-label error-text" style={at(-1)}>{ratio(link.error_ratio)} err</div>}
    </EdgeLabelRenderer>
  );
}

export const CallEdge = memo(function CallEdge({ data }: EdgeProps<CallEdgeType>) {
  const [hovered, setHovered] = useState(false);
  const [focused, setFocused] = useState(false);
  if (!data) return null;
  const { link, shape, labelled, faded, hair, selected, dim, lit, reachable, open } = data;
  const pointed = hovered || focused;
  const width = linkWidth(link.request_rate);
  const state = [selected && 'selected', dim && 'dim', lit && 'lit', pointed && 'hovered', faded && 'faded', hair && 'hair', link.requests === 0 && 'connections'];
  const red = redShare(link.error_ratio);
  const showLabel = (labelled && !dim) || pointed || selected;
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    open();
  };
  const { x, y } = shape.tip;
  return (
    <>
      <g className={`call ${state.filter(Boolean).join(' ')}`} data-testid="map-edge" data-client={link.client} data-server={link.server}
        role="button" tabIndex={reachable ? 0 : -1} aria-label={describe(link)} aria-pressed={selected} onClick={open} onKeyDown={onKeyDown}
        onFocus={(e) => setFocused(e.currentTarget.matches(':focus-visible'))} onBlur={() => setFocused(false)} onPointerEnter={() => setHovered(true)} onPointerLeave={() => setHovered(false)}>
        <path d={shape.d} className="call-line" strokeWidth={width} />
        {red > 0 && <path d={shape.d} className="call-red" strokeWidth={width} pathLength={100} strokeDasharray={`0 ${100 - red} ${red}`} />}
        <path d={`M0 0L-${8 + width * 0.4} -${3.6 + width * 0.45}L-${8 + width * 0.4} ${3.6 + width * 0.45}Z`} className={red > 0 ? 'call-tip red' : 'call-tip'} transform={`translate(${x} ${y}) rotate(${shape.angle})`} />
        <path d={shape.d} className="call-hit" />
      </g>
      {showLabel && <Labels link={link} shape={shape} front={pointed} />}
    </>
  );
});
