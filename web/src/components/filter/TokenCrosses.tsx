// One cross per term, in the blanks that follow it. The letters are the field's own, unseen, so that each cross stands
// right behind its term; the field beneath keeps every other click.
import { tokenise } from '../../filter/tokens';
import { Icon } from '../Icon';

interface Props {
  text: string;
  scroll: number;
  remove: (index: number) => void;
}

export function TokenCrosses({ text, scroll, remove }: Props) {
  let at = 0;
  const terms = tokenise(text).map((term, i) => {
    const before = text.slice(at, term.value?.end ?? term.key.end);
    at += before.length;
    return (
      <span key={i}>
        {before}
        {term.value && (
          // The text itself is edited with the keyboard; a press must not take the focus from the field.
          <button type="button" className="f-cross" tabIndex={-1} data-testid="filter-cross" title={`Drop ${term.key.text}`} aria-label={`Drop ${text.slice(term.key.start, term.value.end)}`} onPointerDown={(e) => e.preventDefault()} onClick={() => remove(i)}>
            <Icon name="close" size={10} />
          </button>
        )}
      </span>
    );
  });
  return <div className="painted crosses"><div className="f-layer" style={{ transform: `translateX(${-scroll}px)` }}>{terms}</div></div>;
}
