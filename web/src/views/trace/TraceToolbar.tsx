import { Icon } from '../../components/Icon';
import { count, plural } from '../../format/units';

interface Props {
  find: string;
  setFind: (text: string) => void;
  found: number;
  nextFound: () => void;
  errors: number;
  nextError: () => void;
  foldable: boolean;
  allFolded: boolean;
  foldAll: () => void;
}

/** What the shades mean; a word beside each, since colour is the service's. */
function Shades() {
  return (
    <span className="shades muted small" aria-hidden="true">
      <span><i className="stretch self" />itself</span>
      <span><i className="stretch waiting" />waits for calls</span>
      <span><i className="stretch network" />network</span>
      <span><i className="stretch unseen" />not seen inside</span>
      <span><i className="critical" />critical path</span>
    </span>
  );
}

export function TraceToolbar({ find, setFind, found, nextFound, errors, nextError, foldable, allFolded, foldAll }: Props) {
  return (
    <div className="toolbar trace-toolbar">
      <label className="trace-find">
        <Icon name="search" size={14} />
        <input type="search" className="field" placeholder="Search in the trace  (/)" aria-label="Search in the trace" data-testid="trace-find" value={find} onChange={(e) => setFind(e.target.value)}
          onKeyDown={(e) => { if (e.key === 'Enter') nextFound(); if (e.key === 'Escape') e.currentTarget.blur(); }} />
        {find && <span className="muted small nowrap">{found === 0 ? 'nothing' : count(found)}</span>}
      </label>
      {errors > 0 && <button className="button" title="Next error (e)" data-testid="next-error" onClick={nextError}><span className="error-text"><Icon name="warn" size={14} /></span> {plural(errors, 'error')}</button>}
      {foldable && <button className="button" onClick={foldAll}>{allFolded ? 'Unfold all' : 'Fold all'}</button>}
      <span className="grow" />
      <Shades />
    </div>
  );
}
