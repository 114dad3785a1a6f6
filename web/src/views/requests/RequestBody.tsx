// What is known of one request: where its time went, both messages, the tags of both ends, its connection, every column.
import { useState, type ReactNode } from 'react';
import type { RequestDetail } from '../../api/types';
import { Section } from '../../components/Drawer';
import { Value } from '../../components/Value';
import { count, duration } from '../../format/units';
import { factsOf, text } from './facts';
import { Messages } from './Messages';
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

export function AllColumns({ row, title = 'All columns' }: { row: Record<string, unknown>; title?: string }) {
  const [wanted, setWanted] = useState('');
  const entries = Object.entries(row).filter(([key, value]) => text(value) !== '' && key.includes(wanted.toLowerCase())).sort(([a], [b]) => a.localeCompare(b));
  return (
    <details className="all-columns">
      <summary>{title}</summary>
      <input className="field" placeholder="Search a column" aria-label="Search a column" value={wanted} onChange={(e) => setWanted(e.target.value)} />
      <dl className="facts">
        {entries.map(([key, value]) => <div key={key} className="fact wide"><dt className="mono">{key}</dt><dd className="mono"><Value tag={key} value={text(value)} /></dd></div>)}
      </dl>
    </details>
  );
}

interface Props {
  detail: RequestDetail;
  slowUs: number;
  /** Where else to look, after the figures. */
  links: ReactNode;
}

export function RequestBody({ detail, slowUs, links }: Props) {
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
      <div className="row section drawer-links">{links}</div>
      <AllColumns row={row} />
    </>
  );
}
