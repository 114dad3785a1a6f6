// What is wrong with the filter line, right below it, with the repair that the server suggests.
import { useFilterError } from '../../api/queries';
import { replaceAt } from '../../filter/edit';
import { usePatch, useSearchState } from '../../state/useUrl';
import { sentence } from '../states/States';
import { Icon } from '../Icon';

export function FilterProblem() {
  const filter = useSearchState().filter ?? '';
  const patch = usePatch();
  const error = useFilterError(filter);
  if (!error) return null;
  const { suggestion, position, length } = error;
  const repair = suggestion !== null && position !== null ? replaceAt(filter, position, length ?? 0, suggestion) : null;
  return (
    <div className="banner" id="filter-error" data-testid="filter-error" role="alert">
      <Icon name="warn" size={14} />
      <span className="grow"><b>Filter:</b> {sentence(error.message)}{suggestion !== null && <> Did you mean <code>{suggestion}</code>?</>}</span>
      {repair !== null && <button className="button" onClick={() => patch({ filter: repair })}>Use {suggestion}</button>}
      <button className="button" onClick={() => patch({ filter: undefined })}>Drop the filter</button>
    </div>
  );
}
