// The outcome as an icon beside its word, so that colour is never the only sign.
import type { Status } from '../../api/types';
import { Icon, type IconName } from '../../components/Icon';

const MARKS: Record<Status, [IconName, string]> = {
  ok: ['check', 'good-text'], client_error: ['warn', 'error-text'], server_error: ['close', 'error-text'], timeout: ['clock', 'error-text'], unknown: ['minus', 'muted'],
};

export function StatusMark({ status }: { status: Status }) {
  const [icon, className] = MARKS[status] ?? MARKS.unknown;
  return <span className={`status-mark ${className}`}><Icon name={icon} size={13} /></span>;
}

export const failed = (status: string): boolean => status === 'client_error' || status === 'server_error' || status === 'timeout';
