import type { Observation } from '../../api/types';
import { duration } from '../../format/units';
import { timingOf, type Timing as Figures } from './timing';

/** The answer in a sentence, before the bars. */
function Sentence({ client_us, server_us, network_us }: Figures) {
  if (client_us !== null && server_us !== null) {
    return <p>The client waited <b>{duration(client_us)}</b>: <b>{duration(server_us)}</b> in the server and <b>{duration(network_us)}</b> on the way and in queues.</p>;
  }
  if (server_us !== null) return <p>The server took <b>{duration(server_us)}</b>. The client's side was not seen, so time on the network is unknown.</p>;
  if (client_us !== null) return <p>The client waited <b>{duration(client_us)}</b>. The server's side was not seen, so its share is unknown.</p>;
  return <p>No response was seen, so there is no duration.</p>;
}

export function Timing({ observations }: { observations: Observation[] }) {
  const timing = timingOf(observations);
  return (
    <div className="timing">
      <Sentence {...timing} />
      <ol className="timing-bars">
        {timing.bars.map((bar, i) => (
          <li key={`${bar.point}${i}`}>
            <span className="timing-name" title={bar.point}>{bar.name}</span>
            <span className="timing-track">
              <i className={bar.point.startsWith('s') ? 'server' : 'client'} style={{ left: `${bar.start * 100}%`, width: `max(3px, ${bar.length * 100}%)` }} />
            </span>
            <span className="num">{duration(bar.duration_us)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}
