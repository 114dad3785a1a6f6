// The frame around every page: rail, bar, content, and the keys that work everywhere.
import { Outlet, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useKeys } from '../../state/keys';
import { paused, shifted } from '../../state/range';
import { sharedOf } from '../../state/search';
import { useIsTrace, useRange, useSearchState } from '../../state/useUrl';
import { FilterProblem } from '../filter/FilterProblem';
import { KeysOverlay } from './KeysOverlay';
import { OfflineBanner } from './OfflineBanner';
import { Rail } from './Rail';
import { TopBar } from './TopBar';
import './frame.css';

function useFrameKeys(showKeys: () => void): void {
  const navigate = useNavigate();
  const search = useSearchState();
  const { range, live, setRange } = useRange();
  const hasRange = !useIsTrace();
  const go = (to: '/map' | '/requests' | '/traces' | '/agents') => () => void navigate({ to, search: sharedOf(search) });
  useKeys({
    '/': () => document.querySelector<HTMLInputElement>('[data-testid=filter-input]')?.focus(),
    '?': showKeys,
    'g m': go('/map'),
    'g r': go('/requests'),
    'g t': go('/traces'),
    'g a': go('/agents'),
    ...(hasRange && {
      '[': () => setRange(shifted(range, -1)),
      ']': () => setRange(shifted(range, 1)),
      '.': () => setRange(live ? paused(range) : { last: range.last }),
    }),
  });
}

export function Frame() {
  const [keysOpen, setKeysOpen] = useState(false);
  useFrameKeys(() => setKeysOpen(true));
  return (
    <div className="frame">
      <Rail onKeys={() => setKeysOpen(true)} />
      <div className="main">
        <TopBar />
        <FilterProblem />
        <OfflineBanner />
        <main className="content"><Outlet /></main>
      </div>
      {keysOpen && <KeysOverlay close={() => setKeysOpen(false)} />}
    </div>
  );
}
