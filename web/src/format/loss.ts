// What is missing in the data, in two kinds that mean different things to a reader.

/** Rows of the request log above its limit: the metrics, and so every figure of the map, still count them. */
const ONLY_UNLOGGED = 'log_shed';

export interface Missing {
  /** Events that nothing counts. */
  lost: number;
  /** Requests that are counted, but not in the list of requests. */
  unlogged: number;
}

export function missingOf(loss: { cause: string; count: number }[]): Missing {
  const sum = (wanted: (cause: string) => boolean): number => loss.reduce((total, l) => total + (wanted(l.cause) ? l.count : 0), 0);
  return { lost: sum((cause) => cause !== ONLY_UNLOGGED), unlogged: sum((cause) => cause === ONLY_UNLOGGED) };
}
