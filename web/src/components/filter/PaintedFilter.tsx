// What is seen behind the field's transparent text: one chip per term, and the underline of an error.
import type { ApiError } from '../../api/http';
import { tokenise, type Term } from '../../filter/tokens';

interface Piece {
  text: string;
  className: string;
}

/** Splits a term into its key, operator, value and the blanks between them, which belong to the chip as well. */
function pieces(text: string, term: Term): Piece[] {
  const out: Piece[] = [{ text: term.key.text, className: 'f-key' }];
  let at = term.key.end;
  for (const [part, className] of [[term.op, 'f-op'], [term.value, 'f-value']] as const) {
    if (!part) continue;
    if (part.start > at) out.push({ text: text.slice(at, part.start), className: '' });
    out.push({ text: part.text, className });
    at = part.end;
  }
  return out;
}

function Chips({ text }: { text: string }) {
  const out: React.ReactNode[] = [];
  let at = 0;
  tokenise(text).forEach((term, i) => {
    const end = (term.value ?? term.op ?? term.key).end;
    out.push(<span key={`gap${i}`}>{text.slice(at, term.key.start)}</span>);
    out.push(<span key={i} className={term.value ? 'f-term' : 'f-term open'}>{pieces(text, term).map((p, k) => <span key={k} className={p.className}>{p.text}</span>)}</span>);
    at = end;
  });
  return <>{out}{text.slice(at)}</>;
}

/** The server counts characters; an error at the very end still gets something to stand under. */
function Underline({ text, error }: { text: string; error: ApiError }) {
  const characters = Array.from(text);
  const start = error.position ?? 0;
  const length = Math.max(1, error.length ?? 1);
  const marked = characters.slice(start, start + length).join('') || ' ';
  return <div className="f-layer"><span className="f-hidden">{characters.slice(0, start).join('')}</span><span className="f-error" data-testid="filter-underline">{marked}</span></div>;
}

export function PaintedFilter({ text, error, scroll }: { text: string; error: ApiError | null; scroll: number }) {
  return (
    <div className="painted" aria-hidden="true">
      <div className="f-scroll" style={{ transform: `translateX(${-scroll}px)` }}>
        <div className="f-layer"><Chips text={text} /></div>
        {error?.position != null && <Underline text={text} error={error} />}
      </div>
    </div>
  );
}
