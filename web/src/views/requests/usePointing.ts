// Whether someone is about to click: rows must not move away under a moving pointer.
import { useCallback, useEffect, useRef, useState } from 'react';

const REST_MS = 1500;

export function usePointing(): [pointing: boolean, onPointerMove: () => void] {
  const [pointing, setPointing] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const onPointerMove = useCallback(() => {
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setPointing(false), REST_MS);
    setPointing(true);
  }, []);
  return [pointing, onPointerMove];
}
