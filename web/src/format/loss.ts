// What is missing in the data, in kinds that mean different things to a reader.

/** Rows of the request log above its limit: the metrics, and so every figure of the map, still count them. */
const ONLY_UNLOGGED = ['log_shed'];

/** Calls that are counted, of which not everything is known: payload that was cut or could not be read, order that is not sure. */
const SEEN_IN_PART = ['payload_shed', 'user_copy_failed', 'sequence_overlap', 'vector_cut'];

export interface Missing {
  /** Events that nothing counts. */
  lost: number;
  /** Requests that are counted, but not in the list of requests. */
  unlogged: number;
  /** Calls that are counted, but not known in full. */
  inPart: number;
}

export function missingOf(loss: { cause: string; count: number }[]): Missing {
  const sum = (wanted: (cause: string) => boolean): number => loss.reduce((total, l) => total + (wanted(l.cause) ? l.count : 0), 0);
  return {
    lost: sum((cause) => !ONLY_UNLOGGED.includes(cause) && !SEEN_IN_PART.includes(cause)),
    unlogged: sum((cause) => ONLY_UNLOGGED.includes(cause)),
    inPart: sum((cause) => SEEN_IN_PART.includes(cause)),
  };
}
