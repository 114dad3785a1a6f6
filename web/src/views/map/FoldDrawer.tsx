// The members of a folded card. Opening one gives it a card of its own on the map.
import { useState } from 'react';
import type { MapNode } from '../../api/types';
import { CutName } from '../../components/CutName';
import { Drawer } from '../../components/Drawer';
import { duration, rate, ratio } from '../../format/units';
import { KIND_NAMES, type Card } from './model';
import type { MapSelection } from './useSelection';

/** A list of hundreds is searched, not read. */
const AT_MOST = 100;

function matching(nodes: MapNode[], text: string): MapNode[] {
  const wanted = text.toLowerCase();
  return nodes.filter((n) => n.name.toLowerCase().includes(wanted)).sort((a, b) => b.error_ratio * b.request_rate - a.error_ratio * a.request_rate || b.request_rate - a.request_rate);
}

export function FoldDrawer({ fold, selection }: { fold: Card; selection: MapSelection }) {
  const [text, setText] = useState('');
  const found = matching(fold.nodes, text);
  return (
    <Drawer label={fold.name} title={fold.name} subtitle={`Folded to keep the map readable. Failing and busy ${KIND_NAMES[fold.kind][1]} first.`} onClose={selection.clear} takeFocus>
      <div className="fold-tools"><input className="field" aria-label="Search these" placeholder={`Search ${fold.nodes.length} ${KIND_NAMES[fold.kind][1]}`} value={text} onChange={(e) => setText(e.target.value)} /></div>
      <table className="list">
        <thead><tr><th>Name</th><th className="num c-rate">Rate</th><th className="num c-err">Errors</th><th className="num c-lat">p99</th></tr></thead>
        <tbody>
          {found.slice(0, AT_MOST).map((n) => (
            <tr key={n.id}>
              <td><button className="link" style={{ display: 'block', width: '100%' }} onClick={() => selection.selectNode(n.id)}><CutName name={n.name} room={196} bold={false} /></button></td>
              <td className="num">{rate(n.request_rate)}</td><td className={`num ${n.error_ratio > 0 ? 'error-text' : 'muted'}`}>{ratio(n.error_ratio)}</td><td className="num">{duration(n.p99_us)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.length > AT_MOST && <p className="muted section">{found.length - AT_MOST} more. Search to narrow the list.</p>}
    </Drawer>
  );
}
