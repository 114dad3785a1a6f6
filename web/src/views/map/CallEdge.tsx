// An arrow of the map. Its width is the rate, its red part the share of errors; thin and dashed means that only
// connections were seen.
import { EdgeLabelRenderer, type Edge, type EdgeProps } from '@xyflow/react';
import { memo, useState } from 'react';
import { duration, plural, rate, ratio } from '../../format/units';
import type { Link } from './model';
import { linkWidth, type Shape } from './path';

export type CallEdgeType = Edge<{ link: Link; shape: Shape; labelled: boolean; faded: boolean; hair: boolean; selected: boolean; dim: boolean; lit: boolean; open: () => void }, 'call'>;

/** Any error at all must be visible, and a failing half must look like a half. */
const redShare = (errorRatio: number): number => (errorRatio > 0 ? Math.max(6, Math.min(100, errorRatio * 100)) : 0);

function describe(link: Link): string {
  const seen = link.requests > 0 ? `${rate(link.request_rate)}, ${ratio(link.error_ratio)} errors, p99 ${duration(link.p99_us)}` : plural(link.connections, 'connection');
  return `${link.client} calls ${link.server}: ${link.protocols.join(', ')} ${seen}`;
}

function Label({ link, full }: { link: Link; full: boolean }) {
  if (link.requests === 0) return <>{plural(link.connections, 'connection')}</>;
  return (
    <>
      {rate(link.request_rate)}
      {full && <span className="muted"> · p99 {duration(link.p99_us)}</span>}
      {link.error_ratio > 0 && (full || link.error_ratio >= 0.01) && <span className="error-text"> · {ratio(link.error_ratio)}{full && ' err'}</span>}
      {full && <span className="muted"> · {link.protocols.join(' ')}</span>}
    </>
  );
}

export const CallEdge = memo(function CallEdge({ data }: EdgeProps<CallEdgeType>) {
  const [hovered, setHovered] = useState(false);
  if (!data) return null;
  const { link, shape, labelled, faded, hair, selected, dim, lit, open } = data;
  const width = linkWidth(link.request_rate);
  const state = [selected && 'selected', dim && 'dim', lit && 'lit', hovered && 'hovered', faded && 'faded', hair && 'hair', link.requests === 0 && 'connections'];
  const red = redShare(link.error_ratio);
  const showLabel = (labelled && !dim) || hovered || selected;
  const { x, y } = shape.tip;
  return (
    <>
      <g className={`call ${state.filter(Boolean).join(' ')}`} data-testid="map-edge" data-client={link.client} data-server={link.server}
        role="button" tabIndex={-1} aria-label={describe(link)} onClick={open} onPointerEnter={() => setHovered(true)} onPointerLeave={() => setHovered(false)}>
        <path d={shape.d} className="call-line" strokeWidth={width} />
        {red > 0 && <path d={shape.d} className="call-red" strokeWidth={width} pathLength={100} strokeDasharray={`0 ${100 - red} ${red}`} />}
        <path d={`M0 0L-${8 + width * 0.4} -${3.6 + width * 0.45}L-${8 + width * 0.4} ${3.6 + width * 0.45}Z`} className={red > 0 ? 'call-tip red' : 'call-tip'} transform={`translate(${x} ${y}) rotate(${shape.angle})`} />
        <path d={shape.d} className="call-hit" />
      </g>
      {showLabel && (
        <EdgeLabelRenderer>
          <div className={`call-label ${hovered || selected ? 'front' : ''} ${link.requests === 0 ? 'muted' : ''}`} style={{ transform: `translate(-50%, -50%) translate(${shape.label.x + shape.lift.x}px, ${shape.label.y + shape.lift.y}px)` }}>
            <Label link={link} full={hovered} />
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
});
