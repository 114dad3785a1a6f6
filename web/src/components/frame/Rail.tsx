import { Link } from '@tanstack/react-router';
import { sharedOf } from '../../state/search';
import { useSearchState } from '../../state/useUrl';
import { setTheme, useTheme } from '../../theme/useTheme';
import { Icon } from '../Icon';
import { PAGES } from './pages';

function Logo() {
  return (
    <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M5 9c5.5 0 5.5 4 11 4s5.5-4 11-4M7.5 16c4.2 0 4.2 4 8.5 4s4.2-4 8.5-4M10.5 23c2.8 0 2.8 2.7 5.5 2.7s2.7-2.7 5.5-2.7" fill="none" stroke="var(--accent)" strokeWidth="2.6" strokeLinecap="round" />
    </svg>
  );
}

export function Rail({ onKeys }: { onKeys: () => void }) {
  const search = useSearchState();
  const theme = useTheme();
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <nav className="rail" aria-label="Pages">
      <Link to="/map" search={sharedOf(search)} className="rail-logo" aria-label="Hadal, start page" title="Hadal"><Logo /></Link>
      {PAGES.map((page) => (
        <Link key={page.to} to={page.to} search={sharedOf(search)} className="rail-link" title={`${page.name} (${page.keys})`}>
          <Icon name={page.icon} size={18} />
          <span>{page.name}</span>
        </Link>
      ))}
      <span className="grow rail-gap" />
      <button className="icon-button" onClick={() => setTheme(other)} aria-label={`Switch to the ${other} theme`} title={`Switch to the ${other} theme`}>
        <Icon name={theme === 'dark' ? 'sun' : 'moon'} />
      </button>
      <button className="icon-button rail-keys" onClick={onKeys} aria-label="Show all keys (?)" title="All keys (?)"><Icon name="keys" /></button>
    </nav>
  );
}
