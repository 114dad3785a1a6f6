// The bridge between React and uPlot: made anew when its shape or the theme changes, fed when only data does.
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import { useTheme } from '../../theme/useTheme';
import { plotData, plotOptions, type ChartSeries } from './options';

interface Props {
  times: number[];
  series: ChartSeries[];
  format: (value: number) => string;
  height: number;
  stacked: boolean;
  onHover: (index: number | null) => void;
  onZoom: (from: number, to: number) => void;
}

function useWidth(ref: React.RefObject<HTMLDivElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!ref.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [ref]);
  return width;
}

export function Plot(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });
  const theme = useTheme();
  const width = useWidth(box);
  const names = props.series.map((s) => s.label).join('|');
  const { height, stacked } = props;
  useEffect(() => {
    if (!box.current || width === 0) return;
    const { times, series } = latest.current;
    const options = plotOptions(series, {
      width, height, stacked, whole: stacked,
      format: (value) => latest.current.format(value),
      onHover: (index) => latest.current.onHover(index),
      onZoom: (from, to) => latest.current.onZoom(from, to),
    });
    plot.current = new uPlot(options, plotData(times, series, stacked), box.current);
    return () => plot.current?.destroy();
  }, [width, height, stacked, names, theme]);
  useEffect(() => {
    plot.current?.setData(plotData(props.times, props.series, stacked));
  }, [props.times, props.series, stacked]);
  return <div ref={box} className="plot" style={{ height }} />;
}
