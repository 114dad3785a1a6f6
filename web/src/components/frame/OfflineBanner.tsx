// Says that the server is gone while the last data stays readable.
import { useQueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { ApiError } from '../../api/http';
import { clock } from '../../format/time';
import { Icon } from '../Icon';

/** Time of the newest data on the page while the server is away, else null. */
function useOfflineSince(): number | null {
  const client = useQueryClient();
  const read = (): number | null => {
    const active = client.getQueryCache().findAll({ type: 'active' });
    const offline = active.some((q) => q.state.error instanceof ApiError && q.state.error.offline);
    return offline ? Math.max(0, ...active.map((q) => q.state.dataUpdatedAt)) : null;
  };
  return useSyncExternalStore((listener) => client.getQueryCache().subscribe(listener), read);
}

export function OfflineBanner() {
  const since = useOfflineSince();
  const client = useQueryClient();
  if (since === null) return null;
  return (
    <div className="banner" role="alert">
      <Icon name="warn" size={14} />
      <span className="grow">The server does not answer.{since > 0 && <> Showing data of {clock(since / 1000)}.</>} Is <code>hadal</code> running?</span>
      <button className="button" onClick={() => void client.refetchQueries({ type: 'active' })}>Try again</button>
    </div>
  );
}
