// A service keeps one colour everywhere: a hash of its name picks it, so no table of assignments is needed.
// The hues are taken from Paul Tol's "muted" scheme, without those close to error red and slow amber.

/** Number of `--service-N` variables that the stylesheet defines for each theme. */
export const SERVICE_COLOURS = 8;

/** FNV-1a over UTF-16 units: short, well mixed and the same in every browser. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

export const serviceColour = (name: string): string => `var(--service-${hash(name) % SERVICE_COLOURS})`;
