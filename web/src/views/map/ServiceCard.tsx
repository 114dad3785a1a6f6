// A card of the map: one service, or a fold of several.
import { Handle, Position, type Node, type NodeProps } from '@xyflow/react';
import { memo } from 'react';
import { CutName } from '../../components/CutName';
import { Icon } from '../../components/Icon';
import { Sparkline } from '../../components/Sparkline';
import { connections, duration, rate, ratio } from '../../format/units';
import { serviceColour } from '../../theme/serviceColour';
import { KIND_NAMES, type Card } from './model';

export type CardNode = Node<{ card: Card; compact: boolean; selected: boolean; dim: boolean; quiet: boolean; open: () => void }, 'card'>;

const Errors = ({ errorRatio, short }: { errorRatio: number; short: boolean }) => {
  const className = errorRatio > 0 ? 'error-text' : 'muted';
  if (!short) return <span className={className} title="Share of requests that failed">{ratio(errorRatio)} err</span>;
  // Less than one in a thousand is for the drawer: a dense map shows what stands out.
  return errorRatio >= 0.001 ? <span className={className} title="Share of requests that failed"><Icon name="warn" size={11} /> {ratio(errorRatio)}</span> : null;
};

const P99 = ({ us }: { us: number | null }) => <span className="muted" title="99 of 100 requests are faster than this">{duration(us)}</span>;

/** What a card says in numbers: what it serves, else what it sends, else its connections. */
function Figures({ card, compact }: { card: Card; compact: boolean }) {
  if (card.requests > 0) return <><b>{rate(card.request_rate)}</b><Errors errorRatio={card.error_ratio} short={compact} />{compact && <P99 us={card.p99_us} />}</>;
  if (card.sent_rate > 0) return <b>sends {rate(card.sent_rate)}</b>;
  return <span className="muted">{connections(card.connections)}</span>;
}

/** Pure clients and silent ends have no line of their own to draw; their card is the same size all the same. */
function Line({ card, colour }: { card: Card; colour: string }) {
  if (card.requests === 0) return <span className="card-line muted">{card.sent_rate > 0 ? 'client only' : 'no request recognised'}</span>;
  return <span className="card-line"><Sparkline values={card.sparkline} width={74} height={18} colour={colour} /><span className="muted" title="99 of 100 requests are faster than this">p99 {duration(card.p99_us)}</span></span>;
}

function describe(card: Card): string {
  const [kind] = KIND_NAMES[card.kind];
  const served = card.requests > 0 ? `${rate(card.request_rate)}, ${ratio(card.error_ratio)} errors, p99 ${duration(card.p99_us)}` : `sends ${rate(card.sent_rate)}`;
  return card.folded ? `${card.name}, ${served}. Open the list.` : `${card.name}, ${kind}, ${served}`;
}

export const ServiceCard = memo(function ServiceCard({ data }: NodeProps<CardNode>) {
  const { card, compact, selected, dim, quiet, open } = data;
  const colour = card.folded ? 'var(--muted)' : serviceColour(card.name);
  const state = [selected && 'selected', dim && 'dim', quiet && 'quiet', card.folded && 'folded', compact && 'compact', card.error_ratio >= 0.05 && 'failing'];
  return (
    <>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <button className={`card ${state.filter(Boolean).join(' ')}`} aria-label={describe(card)} aria-pressed={selected} data-testid="map-node" data-name={card.name} onClick={open}>
        <span className="card-head">
          <span className="card-icon" title={KIND_NAMES[card.kind][0]}><Icon name={card.folded ? 'stack' : card.kind} size={15} colour={colour} /></span>
          <CutName name={card.name} className="card-name" room={compact ? 134 : 130} bold={!card.folded} />
        </span>
        <span className="card-figures"><Figures card={card} compact={compact} /></span>
        {!compact && <Line card={card} colour={colour} />}
      </button>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </>
  );
});
