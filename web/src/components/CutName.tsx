// A long name loses its middle, not its end: ends tell versions, ports and replicas apart.
import { cutMiddle } from '../format/names';
import { textWidth } from './textWidth';

interface Props {
  name: string;
  /** Width in pixels that is there for it. */
  room: number;
  bold?: boolean;
  className?: string;
}

export function CutName({ name, room, bold = true, className = '' }: Props) {
  return <span className={`cut ${className}`} title={name}>{cutMiddle(name, room, (text) => textWidth(text, bold))}</span>;
}
