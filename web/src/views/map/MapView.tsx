// The start page: who calls whom, how much, how well.
import { useEffect, useMemo, useRef } from 'react';
import { useMap } from '../../api/queries';
import type { ServiceMap } from '../../api/types';
import { Failure, Skeleton } from '../../components/states/States';
import { NoTraffic } from '../../components/states/NoTraffic';
import { LAST_NAMES, rangeName } from '../../state/range';
import { useRange, useSearchState } from '../../state/useUrl';
import { Canvas } from './Canvas';
import { chooseShown } from './fold';
import { MapDrawer } from './MapDrawer';
import { buildModel, groupOf, type MapModel } from './model';
import { Toolbar } from './Toolbar';
import { useSelection } from './useSelection';
import './map.css';

function useTitle(selected: string): void {
  const { range } = useRange();
  const time = range.to === undefined ? LAST_NAMES[range.last].toLowerCase() : rangeName(range);
  useEffect(() => {
    document.title = `${selected ? `${selected} · ` : ''}Map · ${time} · Hadal`;
  }, [selected, time]);
}

/** Folding remembers what it showed last, so that cards do not swap places with every refresh. */
function useModel(data: ServiceMap | undefined, pinned: string[]): MapModel | null {
  const previous = useRef<Set<string> | null>(null);
  const pins = pinned.join('\n');
  return useMemo(() => {
    if (!data) return null;
    previous.current = chooseShown(data.nodes, data.edges, pins.split('\n'), previous.current);
    return buildModel(data.nodes, data.edges, previous.current);
  }, [data, pins]);
}

function MapSkeleton() {
  const columns = [1, 2, 2, 1];
  return (
    <div className="map-skeleton" role="status" aria-label="Loading the map">
      {columns.map((cards, i) => <div key={i}>{Array.from({ length: cards }, (_, k) => <Skeleton key={k} width={196} height={80} />)}</div>)}
    </div>
  );
}

export function MapView() {
  const search = useSearchState();
  const { range } = useRange();
  const groupBy = groupOf(search.group_by);
  const filter = search.filter ?? '';
  const query = useMap({ range, filter }, groupBy);
  const selection = useSelection();
  const model = useModel(query.data, [search.client, search.server].filter((n) => n !== undefined));
  useTitle(selection.name);
  return (
    <div className="map-view">
      <div className="map-main">
        <Toolbar data={query.data} groupBy={groupBy} />
        {query.error && !query.data ? <Failure error={query.error} retry={() => void query.refetch()} what="The map" />
          : !model ? <MapSkeleton />
            : model.cards.length === 0 ? <NoTraffic what="requests" />
              : <Canvas model={model} groupBy={groupBy} scope={`${groupBy}/${filter}`} selection={selection} />}
      </div>
      {query.data && model && <MapDrawer data={query.data} model={model} groupBy={groupBy} selection={selection} />}
    </div>
  );
}
