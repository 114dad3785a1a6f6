// What is selected on the map, kept in the address: a node (`server`), an edge (`client` and `server`) or a folded
// card (`folded`).
import { useCallback, useMemo } from 'react';
import { usePatch, useSearchState } from '../../state/useUrl';
import { linkId } from './model';

export interface MapSelection {
  node: string | null;
  edge: { client: string; server: string } | null;
  folded: string | null;
  /** The worst requests are listed, while nothing is selected. */
  worst: boolean;
  /** For titles. */
  name: string;
  selectNode: (name: string) => void;
  selectEdge: (client: string, server: string) => void;
  selectFold: (id: string) => void;
  clear: () => void;
}

export function useSelection(): MapSelection {
  const { client, server, folded, worst } = useSearchState();
  const patch = usePatch();
  const selectNode = useCallback((name: string) => patch({ server: name, client: undefined, folded: undefined }), [patch]);
  const selectEdge = useCallback((a: string, b: string) => patch({ client: a, server: b, folded: undefined }), [patch]);
  const selectFold = useCallback((id: string) => patch({ folded: id, client: undefined, server: undefined }), [patch]);
  const clear = useCallback(() => patch({ client: undefined, server: undefined, folded: undefined }), [patch]);
  return useMemo(() => {
    const edge = client !== undefined && server !== undefined ? { client, server } : null;
    const node = edge ? null : (server ?? null);
    return { node, edge, folded: folded ?? null, worst: worst === 'yes', name: edge ? `${edge.client} → ${edge.server}` : (node ?? ''), selectNode, selectEdge, selectFold, clear };
  }, [client, server, folded, worst, selectNode, selectEdge, selectFold, clear]);
}

/** Cards and links that stay bright; null when nothing is selected. */
export function brightParts(selection: MapSelection, links: { id: string; client: string; server: string }[]): Set<string> | null {
  if (selection.edge) {
    const { client, server } = selection.edge;
    return new Set([client, server, linkId(client, server)]);
  }
  const card = selection.node ?? selection.folded;
  if (card === null) return null;
  const touching = links.filter((l) => l.client === card || l.server === card);
  return new Set([card, ...touching.flatMap((l) => [l.id, l.client, l.server])]);
}
