// Columns of the table: what each shows, how wide it starts, and which filter key its value belongs to.
import type { ReactNode } from 'react';
import type { RequestRow } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Value } from '../../components/Value';
import { bytes, duration, NONE } from '../../format/units';
import { clock, clockMillis, full } from '../../format/time';
import { serviceColour } from '../../theme/serviceColour';
import { StatusMark } from './StatusMark';

export interface CellContext {
  row: RequestRow;
  slowUs: number;
  open: () => void;
}

export interface Column {
  id: string;
  name: string;
  width: number;
  /** Width on a phone, for the columns shown there. */
  narrow?: number;
  /** What the header says, if not the name. */
  head?: string;
  numeric?: boolean;
  /** Takes the room that is left. */
  grows?: boolean;
  cell: (context: CellContext) => ReactNode;
}

function value(tag: string, text: string | number | null, { open }: CellContext, className = ''): ReactNode {
  if (text === null || text === '') return <span className="muted">{NONE}</span>;
  return <Value tag={tag} value={String(text)} className={className} open={{ icon: 'open', label: 'Open request', run: open }} />;
}

function service(tag: string, name: string, context: CellContext): ReactNode {
  return <><i className="service-dot" style={{ background: serviceColour(name) }} aria-hidden="true" />{value(tag, name, context)}</>;
}

function latency({ row, slowUs }: CellContext): ReactNode {
  const slow = row.response_duration_us !== null && row.response_duration_us > slowUs;
  return <span className={slow ? 'slow-text' : ''} title={slow ? `slower than ${duration(slowUs)}` : undefined}>{slow && <Icon name="clock" size={12} />} {duration(row.response_duration_us)}</span>;
}

/** Rows stand in the order of their ends, as in a log; a slow request began long before. */
const when = (row: RequestRow): string => `ended ${full(row.end_time_us)}\nbegan ${full(row.start_time_us)}`;

export const COLUMNS: Column[] = [
  { id: 'time', name: 'Time', width: 108, cell: ({ row }) => <span title={when(row)}>{clockMillis(row.end_time_us)}</span> },
  { id: 'clock', name: 'Time, to the second', head: 'Time', width: 80, narrow: 76, cell: ({ row }) => <span title={when(row)}>{clock(row.end_time_us / 1e6)}</span> },
  { id: 'client', name: 'Client', width: 132, cell: (c) => service('auto_service_0', c.row.client, c) },
  { id: 'server', name: 'Server', width: 132, narrow: 104, cell: (c) => service('auto_service_1', c.row.server, c) },
  { id: 'protocol', name: 'Protocol', width: 92, cell: (c) => value('l7_protocol_str', c.row.l7_protocol_str, c) },
  { id: 'method', name: 'Method', width: 78, cell: (c) => value('request_type', c.row.request_type, c) },
  { id: 'mark', name: 'Status, icon only', head: '', width: 34, narrow: 26, cell: (c) => <span title={c.row.response_status}><StatusMark status={c.row.response_status} /></span> },
  { id: 'resource', name: 'Resource', width: 120, narrow: 80, grows: true, cell: (c) => value('request_resource', c.row.request_resource, c, 'mono') },
  { id: 'endpoint', name: 'Endpoint', width: 150, cell: (c) => value('endpoint', c.row.endpoint, c, 'mono') },
  { id: 'domain', name: 'Domain', width: 130, cell: (c) => value('request_domain', c.row.request_domain, c) },
  { id: 'status', name: 'Status', width: 142, cell: (c) => <><StatusMark status={c.row.response_status} />{value('response_status', c.row.response_status, c)}</> },
  { id: 'code', name: 'Code', width: 58, numeric: true, cell: (c) => value('response_code', c.row.response_code, c) },
  { id: 'latency', name: 'Latency', width: 92, narrow: 84, numeric: true, cell: latency },
  { id: 'sent', name: 'Request size', width: 96, numeric: true, cell: ({ row }) => bytes(row.request_length) },
  { id: 'received', name: 'Response size', width: 104, numeric: true, cell: ({ row }) => bytes(row.response_length) },
  { id: 'exception', name: 'Exception', width: 170, cell: (c) => value('response_exception', c.row.response_exception, c) },
  { id: 'seen', name: 'Seen at', width: 72, cell: (c) => value('observation_point', c.row.observation_point, c) },
  { id: 'tls', name: 'TLS', width: 56, cell: ({ row }) => (row.is_tls ? <Icon name="lock" size={13} /> : <span className="muted">no</span>) },
  { id: 'client_address', name: 'Client address', width: 150, cell: ({ row }) => `${row.client_ip}:${row.client_port}` },
  { id: 'server_address', name: 'Server address', width: 150, cell: ({ row }) => `${row.server_ip}:${row.server_port}` },
];

const DEFAULT = ['time', 'client', 'server', 'protocol', 'method', 'resource', 'status', 'code', 'latency', 'received'];
/** Beside an open drawer, which says the rest. */
const DEFAULT_BESIDE = ['clock', 'client', 'server', 'mark', 'resource', 'latency'];
const DEFAULT_NARROW = ['clock', 'server', 'mark', 'resource', 'latency'];

export type Room = 'wide' | 'beside' | 'narrow';
const DEFAULTS: Record<Room, string[]> = { wide: DEFAULT, beside: DEFAULT_BESIDE, narrow: DEFAULT_NARROW };

/** Columns named in the address; unknown names are ignored, none left means the usual ones. */
export function chosenColumns(text: string | undefined, room: Room): string[] {
  const known = (text ?? '').split(',').filter((id) => COLUMNS.some((c) => c.id === id));
  return known.length > 0 ? known : DEFAULTS[room];
}

export function parseWidths(text: string | undefined): Record<string, number> {
  const pairs = (text ?? '').split(',').map((pair) => pair.split(':') as [string, string]);
  return Object.fromEntries(pairs.map(([id, width]) => [id, Number(width)] as const).filter(([, width]) => width >= 40 && width <= 1200));
}

export const formatWidths = (widths: Record<string, number>): string | undefined =>
  Object.entries(widths).map(([id, width]) => `${id}:${Math.round(width)}`).join(',') || undefined;
