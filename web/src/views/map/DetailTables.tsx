// The drawer's tables. Names open what they name; values can be filtered by.
import type { Endpoint, Instance, Peer } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Value } from '../../components/Value';
import { duration, rate, ratio } from '../../format/units';

const errorClass = (errorRatio: number): string => `num ${errorRatio > 0 ? 'error-text' : 'muted'}`;

const RedHead = () => <><th className="num c-rate">Rate</th><th className="num c-err">Errors</th><th className="num c-lat">p99</th></>;

function RedCells({ of }: { of: { request_rate: number; error_ratio: number; p99_us: number | null } }) {
  return <><td className="num">{rate(of.request_rate)}</td><td className={errorClass(of.error_ratio)}>{ratio(of.error_ratio)}</td><td className="num">{duration(of.p99_us)}</td></>;
}

export function EndpointTable({ endpoints }: { endpoints: Endpoint[] }) {
  return (
    <table className="list">
      <thead><tr><th>Endpoint</th><RedHead /></tr></thead>
      <tbody>
        {endpoints.map((e) => (
          <tr key={`${e.protocol} ${e.endpoint}`}><td>{e.endpoint === '' ? <span className="muted">none</span> : <Value tag="endpoint" value={e.endpoint} className="mono" />}</td><RedCells of={e} /></tr>
        ))}
      </tbody>
    </table>
  );
}

export function PeerTable({ peers, open }: { peers: Peer[]; open: (name: string) => void }) {
  return (
    <table className="list">
      <thead><tr><th>Service</th><RedHead /></tr></thead>
      <tbody>
        {peers.map((peer) => (
          <tr key={peer.name}><td><button className="link peer" title={`Open the calls with ${peer.name}`} onClick={() => open(peer.name)}><span className="clip">{peer.name}</span><Icon name="right" size={12} /></button></td><RedCells of={peer} /></tr>
        ))}
      </tbody>
    </table>
  );
}

export function InstanceTable({ instances }: { instances: Instance[] }) {
  return (
    <table className="list">
      <thead><tr><th>Instance</th><th>Host</th><th>Process</th></tr></thead>
      <tbody>
        {instances.map((i) => (
          <tr key={i.entity + i.auto_instance}>
            <td><Value tag="auto_instance" value={i.auto_instance} /></td>
            <td>{i.host ? <Value tag="host" value={i.host} /> : '–'}</td>
            <td>{i.process_name ? <Value tag="process_name" value={i.process_name} /> : '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
