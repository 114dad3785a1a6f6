// What is asked from outside: a click narrows the page to one endpoint, through the filter line as everywhere.
import { useEntryEndpoints, type ViewScope } from '../../api/queries';
import type { EntryEndpoint } from '../../api/types';
import { Icon } from '../../components/Icon';
import { SkeletonRows } from '../../components/states/States';
import { withoutKeys, withTerms } from '../../filter/edit';
import { duration, plural, ratio } from '../../format/units';
import { usePatch, useSearchState } from '../../state/useUrl';
import { serviceColour } from '../../theme/serviceColour';

export const ENTRY_KEYS = ['auto_service_1', 'endpoint'];

function Entry({ entry, only, choose }: { entry: EntryEndpoint; only: boolean; choose: () => void }) {
  const name = `${entry.service} ${entry.endpoint || entry.protocol}`;
  const failedShare = entry.requests > 0 ? entry.failed / entry.requests : 0;
  return (
    <li>
      <button className="entry" aria-pressed={only} title={only ? `Show all endpoints again` : `Only ${name}`} onClick={choose}>
        <i className="service-dot" style={{ background: serviceColour(entry.service) }} aria-hidden="true" />
        <span className="two-names" title={name}><span>{entry.service}</span><span className="muted">{entry.endpoint || entry.protocol}</span></span>
        {only && <Icon name="close" size={13} />}
        <span className="entry-figures muted small">{plural(entry.requests, 'request')} · p99 {duration(entry.p99_us)}{entry.failed > 0 && <> · <span className="error-text"><Icon name="warn" size={11} /> {ratio(failedShare)}</span></>}</span>
      </button>
    </li>
  );
}

export function EntryList({ scope }: { scope: ViewScope }) {
  const query = useEntryEndpoints(scope);
  const patch = usePatch();
  const filter = useSearchState().filter ?? '';
  const entries = query.data;
  const choose = (entry: EntryEndpoint, only: boolean): void => {
    const terms: [string, string][] = [['auto_service_1', entry.service]];
    if (entry.endpoint !== '') terms.push(['endpoint', entry.endpoint]);
    patch({ filter: (only ? withoutKeys(filter, ENTRY_KEYS) : withTerms(filter, terms)) || undefined });
  };
  if (query.error && !entries) return null;
  return (
    <aside className="entries" aria-label="Endpoints that are asked from outside" data-testid="entries">
      <h3 title="Requests whose client serves nobody itself, or is not watched">Asked from outside</h3>
      {!entries ? <SkeletonRows rows={6} /> : entries.length === 0 ? <p className="muted">None in this range.</p> : (
        <ul>
          {entries.map((entry) => {
            const only = entries.length === 1 && ENTRY_KEYS.some((key) => filter.includes(key));
            return <Entry key={`${entry.service} ${entry.protocol} ${entry.endpoint}`} entry={entry} only={only} choose={() => choose(entry, only)} />;
          })}
        </ul>
      )}
    </aside>
  );
}
