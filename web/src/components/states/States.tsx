// What a view shows when it has nothing to show: why, and what to do about it.
import type { ReactNode } from 'react';
import { ApiError } from '../../api/http';
import { Icon, type IconName } from '../Icon';
import './states.css';

interface EmptyProps {
  icon: IconName;
  title: string;
  children: ReactNode;
  actions?: ReactNode;
}

export function Empty({ icon, title, children, actions }: EmptyProps) {
  return (
    <div className="state" data-testid="empty-state" role="status">
      <span className="state-icon"><Icon name={icon} size={22} /></span>
      <h2>{title}</h2>
      <div className="muted state-text">{children}</div>
      {actions && <div className="state-actions">{actions}</div>}
    </div>
  );
}

/** The server's messages begin in lower case and end without a stop. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');

export function Failure({ error, retry, what }: { error: Error; retry: () => void; what: string }) {
  const api = error instanceof ApiError ? error : null;
  const wrongFilter = api?.code === 'invalid_filter';
  return (
    <div className="state" role="alert" data-testid="error-state">
      <span className="state-icon error-text"><Icon name="warn" size={22} /></span>
      <h2>{wrongFilter ? 'This filter cannot be applied here' : `${what} could not be loaded`}</h2>
      <div className="muted state-text">
        <p>{sentence(error.message)}</p>
        {wrongFilter ? <p>The place is underlined above. Nothing is shown until it is repaired, since half a filter would mislead.</p> : api && <code className="state-query">GET {decodeURIComponent(api.request)}</code>}
      </div>
      {!wrongFilter && <div className="state-actions"><button className="button" onClick={retry}><Icon name="reset" /> Try again</button></div>}
    </div>
  );
}

export function Skeleton({ width, height }: { width?: number | string; height: number | string }) {
  return <div className="skeleton" style={{ width: width ?? '100%', height }} />;
}

export function SkeletonRows({ rows, height = 16 }: { rows: number; height?: number }) {
  return (
    <div className="skeleton-rows" aria-label="Loading" role="status">
      {Array.from({ length: rows }, (_, i) => <Skeleton key={i} height={height} width={`${92 - ((i * 17) % 38)}%`} />)}
    </div>
  );
}
