// Request and response side by side.
import type { ReactNode } from 'react';
import { Section } from '../../components/Drawer';
import { Value } from '../../components/Value';
import { bytes, duration, NONE } from '../../format/units';
import { numberOf, text, type Facts } from './facts';
import { failed, StatusMark } from './StatusMark';

type Row = Record<string, unknown>;

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <div className="fact"><dt>{name}</dt><dd>{children}</dd></div>;
}

/** A column that can be filtered by; absent ones take no room. */
function Column({ row, column, name, mono = false }: { row: Row; column: string; name: string; mono?: boolean }) {
  const value = text(row[column]);
  return value === '' ? null : <Fact name={name}><Value tag={column} value={value} className={mono ? 'mono wrap' : 'wrap'} /></Fact>;
}

function Response({ row, facts, slowUs }: { row: Row; facts: Facts; slowUs: number }) {
  const { status, took_us: took } = facts;
  const slow = took !== null && took > slowUs;
  return (
    <dl className="facts">
      <Fact name="Status"><span className={failed(status) ? 'error-text' : ''}><StatusMark status={status} /> <Value tag="response_status" value={status} /></span></Fact>
      <Column row={row} column="response_code" name="Code" />
      <Fact name="Latency"><span className={slow ? 'slow-text' : ''}>{took === null ? 'no response seen' : duration(took)}{slow && ` · slow, over ${duration(slowUs)}`}</span></Fact>
      <Fact name="Size">{bytes(numberOf(row['response_length']))}</Fact>
      <Column row={row} column="response_exception" name="Exception" />
      <Column row={row} column="response_result" name="Result" mono />
    </dl>
  );
}

export function Messages({ row, facts, slowUs }: { row: Row; facts: Facts; slowUs: number }) {
  const version = text(row['version']);
  return (
    <div className="two">
      <Section title="Request">
        <dl className="facts">
          <Fact name="Protocol"><Value tag="l7_protocol_str" value={text(row['l7_protocol_str']) || NONE} />{version && <span className="muted"> {version}</span>}{facts.tls && <span className="muted"> over TLS</span>}</Fact>
          <Column row={row} column="request_type" name="Method" />
          <Column row={row} column="request_domain" name="Domain" />
          <Column row={row} column="request_resource" name="Resource" mono />
          <Column row={row} column="endpoint" name="Endpoint" mono />
          <Fact name="Size">{bytes(numberOf(row['request_length']))}</Fact>
        </dl>
      </Section>
      <Section title="Response"><Response row={row} facts={facts} slowUs={slowUs} /></Section>
    </div>
  );
}
