// The pages of this release, in the rail's order.
import type { IconName } from '../Icon';

export const PAGES = [
  { to: '/map', name: 'Map', icon: 'map', keys: 'g m' },
  { to: '/requests', name: 'Requests', icon: 'requests', keys: 'g r' },
  { to: '/traces', name: 'Traces', icon: 'traces', keys: 'g t' },
  { to: '/agents', name: 'Agents', icon: 'agents', keys: 'g a' },
] as const satisfies readonly { to: string; name: string; icon: IconName; keys: string }[];
