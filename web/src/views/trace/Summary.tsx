// The answer first: what took the time, in a sentence, and the same as a bar of which each share leads to its span.
import type { Trace, TracePart } from '../../api/types';
import { duration, ratio } from '../../format/units';
import { serviceColour } from '../../theme/serviceColour';
import { emphasised } from './sentence';

/** Shares below this are shown together. */
const LEAST_SHARE = 0.02;
const MOST = 6;

const KINDS: Record<TracePart['kind'], string> = { own: 'in', waiting: 'waiting for', network: 'on the way to', no_answer: 'without an answer from' };

function nameOf({ kind, service, what, is_entry, calls }: TracePart): string {
  const times = calls > 1 ? ` (${calls} calls)` : '';
  if (is_entry) return `in ${service} itself`;
  return kind === 'network' ? `on the way to ${service} and back${times}` : `${KINDS[kind]} ${service} ${what}${times}`;
}

interface Props {
  trace: Trace;
  select: (spanId: string) => void;
}

export function Summary({ trace, select }: Props) {
  const total = Math.max(1, trace.total_us);
  const shown = trace.parts.filter((p) => p.time_us / total >= LEAST_SHARE).slice(0, MOST);
  const rest = trace.total_us - shown.reduce((sum, p) => sum + p.time_us, 0);
  return (
    <section className="trace-summary" aria-label="What took the time">
      <p className="trace-sentence" data-testid="trace-sentence">{emphasised(trace).map(([text, strong], i) => (strong ? <b key={i}>{text}</b> : text))}</p>
      {trace.parts.length > 1 && (
        <div className="parts" role="group" aria-label="Shares of the time">
          {shown.map((part) => {
            const words = `${duration(part.time_us)} ${nameOf(part)}, ${ratio(part.time_us / total)} of the time`;
            return (
              <button key={`${part.kind} ${part.service} ${part.what}`} className={`part ${part.kind}`} title={words} aria-label={words} onClick={() => select(part.span_id)}
                style={{ flexGrow: part.time_us, '--colour': serviceColour(part.service) } as React.CSSProperties}>
                <span className="clip">{part.service}</span>
              </button>
            );
          })}
          {rest > 0 && <span className="part rest" title={`${duration(rest)} elsewhere`} style={{ flexGrow: rest }} />}
        </div>
      )}
    </section>
  );
}
