// One request in full: both messages side by side, where the time went, who was at both ends, every column.
import { Link } from '@tanstack/react-router';
import { useRequest } from '../../api/queries';
import type { RequestDetail } from '../../api/types';
import { Drawer } from '../../components/Drawer';
import { Icon } from '../../components/Icon';
import { Failure, SkeletonRows } from '../../components/states/States';
import { full } from '../../format/time';
import { sharedOf } from '../../state/search';
import { useSearchState } from '../../state/useUrl';
import { factsOf, text } from './facts';
import { RequestBody } from './RequestBody';
import { StatusMark } from './StatusMark';

function Links({ id, at, detail }: { id: string; at: number; detail: RequestDetail }) {
  const search = useSearchState();
  const { client, server } = factsOf(detail);
  return (
    <>
      <Link className="button" to="/traces/$id" params={{ id }} search={{ ...sharedOf(search), at }} data-testid="to-trace"><Icon name="traces" size={14} /> Show its trace</Link>
      <Link className="button" to="/map" search={{ ...sharedOf(search), client, server }}><Icon name="map" size={14} /> Show this call on the map</Link>
    </>
  );
}

export function RequestDrawer({ id, at, slowUs, close }: { id: string; at: number; slowUs: number; close: () => void }) {
  const query = useRequest(id, at);
  const row = query.data?.row;
  const facts = query.data && factsOf(query.data);
  const what = row ? [row['request_type'], row['request_resource']].map(text).filter(Boolean).join(' ') : 'Request';
  const title = <>{facts && <StatusMark status={facts.status} />}<span className="clip" title={what}>{what}</span></>;
  const subtitle = facts ? `${facts.client} → ${facts.server} · began ${full(at)}` : full(at);
  return (
    <Drawer label="Request" title={title} subtitle={subtitle} onClose={close} wide>
      {query.error ? <Failure error={query.error} retry={() => void query.refetch()} what="The request" /> : query.data ? <RequestBody detail={query.data} slowUs={slowUs} links={<Links id={id} at={at} detail={query.data} />} /> : <SkeletonRows rows={12} height={20} />}
    </Drawer>
  );
}
