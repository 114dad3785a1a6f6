// How to read the lines of the map.
export function Legend() {
  return (
    <ul className="map-legend" aria-label="How to read the map">
      <li><svg width="26" height="8" aria-hidden="true"><path d="M1 4h24" stroke="var(--edge)" strokeWidth="5" strokeLinecap="round" /></svg>wider: more requests</li>
      <li><svg width="26" height="8" aria-hidden="true"><path d="M1 4h24" stroke="var(--edge)" strokeWidth="3" /><path d="M17 4h8" stroke="var(--error)" strokeWidth="3" /></svg>red: share of errors</li>
      <li><svg width="26" height="8" aria-hidden="true"><path d="M1 4h24" stroke="var(--edge)" strokeWidth="1" strokeDasharray="3 3" /></svg>connections only</li>
    </ul>
  );
}
