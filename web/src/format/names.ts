// Names that do not fit.

/** At least this many characters of the end stay. */
const TAIL = 7;

/** The longest `head…tail` that fits `room`; `measure` gives a text's width in the same unit. */
export function cutMiddle(name: string, room: number, measure: (text: string) => number): string {
  if (measure(name) <= room) return name;
  const letters = Array.from(name);
  const tail = letters.slice(-TAIL).join('');
  let low = 0;
  let high = letters.length - TAIL;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measure(`${letters.slice(0, middle).join('')}…${tail}`) <= room) low = middle;
    else high = middle - 1;
  }
  return `${letters.slice(0, low).join('')}…${tail}`;
}
