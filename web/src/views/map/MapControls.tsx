import { useReactFlow } from '@xyflow/react';
import { Icon } from '../../components/Icon';

export function MapControls({ fit, moved, reset }: { fit: () => void; moved: boolean; reset: () => void }) {
  const flow = useReactFlow();
  return (
    <div className="map-controls" role="toolbar" aria-label="Map view">
      {moved && <button className="icon-button" title="Put moved services back" aria-label="Put moved services back" onClick={reset}><Icon name="reset" /></button>}
      <button className="icon-button" title="Zoom in" aria-label="Zoom in" onClick={() => void flow.zoomIn({ duration: 120 })}><Icon name="plus" /></button>
      <button className="icon-button" title="Zoom out" aria-label="Zoom out" onClick={() => void flow.zoomOut({ duration: 120 })}><Icon name="minus" /></button>
      <button className="icon-button" title="Fit the map" aria-label="Fit the map" onClick={fit}><Icon name="fit" /></button>
    </div>
  );
}
