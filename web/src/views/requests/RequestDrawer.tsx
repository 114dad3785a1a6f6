// One request in full: both messages side by side, where the time went, who was at both ends, every column.
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useRequest } from '../../api/queries';
import type { RequestDetail } from '../../api/types';
import { Drawer, Section } from '../../components/Drawer';
import { Failure, SkeletonRows } from '../../components/states/States';
import { Value } from '../../components/Value';
import { full } from '../../format/time';
import { count, duration } from '../../format/units';
import { sharedOf } from '../../state/search';
import { useSearchState } from '../../state/useUrl';
import { factsOf, text } from './facts';
import { Messages } from './Messages';
import { StatusMark } from './StatusMark';
import { Timing } from './Timing';

/** Names first, then what they were derived from, then where it ran; anything else by name. */
const TAG_ORDER = ['auto_service', 'auto_service_type', 'auto_instance', 'process_name', 'executable', 'systemd_unit', 'container_id', 'address', 'host', 'agent'];
const place = (tag: string): number => (TAG_ORDER.includes(tag) ? TAG_ORDER.indexOf(tag) : TAG_ORDER.length);

function Tags({ tags, side }: { tags: Record<string, string>; side: '_0' | '_1' }) {
  const entries = Object.entries(tags).filter(([, value]) => value !== '').sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b));
  if (entries.length === 0) return <p className="muted">No tags are known of this end.</p>;
  return (
    <dl className="facts">
      {entries.map(([key, value]) => <div key={key} className="fact"><dt title={key} className="clip">{key}</dt><dd><Value tag={`${key}${side}`} value={text(value)} /></dd></div>)}
    </dl>
  );
}

function AllColumns({ row }: { row: Record<string, unknown> }) {
  const [wanted, setWanted] = useState('');
  const entries = Object.entries(row).filter(([key, value]) => text(value) !== '' && key.includes(wanted.toLowerCase())).sort(([a], [b]) => a.localeCompare(b));
  return (
    <details className="all-columns">
      <summary>All columns</summary>
      <input className="field" placeholder="Search a column" aria-label="Search a column" value={wanted} onChange={(e) => setWanted(e.target.value)} />
      <dl className="facts">
        {entries.map(([key, value]) => <div key={key} className="fact wide"><dt className="mono">{key}</dt><dd className="mono"><Value tag={key} value={text(value)} /></dd></div>)}
      </dl>
    </details>
  );
}

function Body({ detail, slowUs }: { detail: RequestDetail; slowUs: number }) {
  const search = useSearchState();
  const { row, flow } = detail;
  const facts = factsOf(detail);
  const { client, server } = facts;
  return (
    <>
      <Section title="Where the time went"><Timing observations={detail.observations} /></Section>
      <Messages row={row} facts={facts} slowUs={slowUs} />
      <div className="two">
        <Section title={`Client: ${client}`}><Tags tags={detail.client_tags} side="_0" /></Section>
        <Section title={`Server: ${server}`}><Tags tags={detail.server_tags} side="_1" /></Section>
      </div>
      <Section title="TCP">
        <dl className="facts">
          <div className="fact"><dt>Round trip</dt><dd>{flow.rtt_us === null ? <span className="muted">not measured</span> : duration(flow.rtt_us)}</dd></div>
          <div className="fact"><dt>Retransmissions</dt><dd className={flow.retransmissions > 0 ? 'slow-text' : ''}>{count(flow.retransmissions)}</dd></div>
        </dl>
      </Section>
      <div className="row section">
        <Link className="button" to="/map" search={{ ...sharedOf(search), client, server }}>Show this call on the map</Link>
      </div>
      <AllColumns row={row} />
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
      {query.error ? <Failure error={query.error} retry={() => void query.refetch()} what="The request" /> : query.data ? <Body detail={query.data} slowUs={slowUs} /> : <SkeletonRows rows={12} height={20} />}
    </Drawer>
  );
}
