import { Link } from '@tanstack/react-router';
import { Empty } from './States';

export function NotFound() {
  return (
    <Empty icon="map" title="There is no such page" actions={<Link className="button" to="/map">Open the map</Link>}>
      The address may be from another version of Hadal.
    </Empty>
  );
}
