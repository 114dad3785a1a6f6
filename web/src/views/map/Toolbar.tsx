import { useTags } from '../../api/queries';
import type { ServiceMap } from '../../api/types';
import { plural } from '../../format/units';
import { usePatch } from '../../state/useUrl';
import { HealthBadge } from './HealthBadge';
import { Legend } from './Legend';
import { WorstButton } from './WorstDrawer';
import { DEFAULT_GROUP, groupOf } from './model';

/** Only a tag that both ends have can make the nodes of a map. */
function GroupBy({ groupBy }: { groupBy: string }) {
  const { data: tags } = useTags();
  const patch = usePatch();
  const names = (tags ?? []).filter((t) => t.two_sided && groupOf(t.name) === t.name).map((t) => t.name);
  const options = names.includes(groupBy) ? names : [groupBy, ...names];
  const change = (tag: string): void =>
    patch({ group_by: tag === DEFAULT_GROUP ? undefined : tag, client: undefined, server: undefined, folded: undefined });
  return (
    <label className="row">
      <span className="muted nowrap">Group by</span>
      <select className="button" value={groupBy} onChange={(e) => change(e.target.value)} data-testid="group-by">
        {options.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}

export function Toolbar({ data, groupBy }: { data: ServiceMap | undefined; groupBy: string }) {
  const what: [string, string] = groupBy === DEFAULT_GROUP ? ['service', 'services'] : ['group', 'groups'];
  return (
    <div className="toolbar">
      <GroupBy groupBy={groupBy} />
      {data && data.nodes.length > 0 && <span className="muted nowrap map-count">{plural(data.nodes.length, ...what)} · {plural(data.edges.length, 'link')}</span>}
      <span className="grow" />
      {data && data.nodes.length > 0 && <Legend />}
      {data && data.nodes.length > 0 && <WorstButton />}
      {data && <HealthBadge health={data.health} />}
    </div>
  );
}
