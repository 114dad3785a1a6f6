// Numbers as people say them: three significant digits at most, always with a unit. The space before a unit is a
// no-break space, so that `38 ms` never wraps.

const SPACE = ' ';
export const NONE = '–';

/** Two significant digits below 100, none after the point above: 0.38, 1.2, 38, 999. */
function short(value: number): string {
  const digits = value >= 10 ? 0 : value >= 1 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}

function scaled(value: number, steps: readonly (readonly [number, string])[]): string {
  const sign = value < 0 ? '−' : '';
  const size = Math.abs(value);
  // The factor keeps 999.96 from being shown as 1000 of the smaller unit.
  const step = steps.find(([unit]) => size >= unit * 0.9995) ?? steps[steps.length - 1]!;
  return `${sign}${short(size / step[0])}${step[1]}`;
}

const COUNTS = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']] as const;
const BYTES = [[1e12, `${SPACE}TB`], [1e9, `${SPACE}GB`], [1e6, `${SPACE}MB`], [1e3, `${SPACE}kB`], [1, `${SPACE}B`]] as const;
const DURATIONS = [[86_400e6, `${SPACE}d`], [3600e6, `${SPACE}h`], [60e6, `${SPACE}min`], [1e6, `${SPACE}s`], [1e3, `${SPACE}ms`], [1, `${SPACE}µs`]] as const;

export const count = (value: number): string => scaled(value, COUNTS);

/** Below one in ten seconds a rate per second says nothing, so it is given per minute or hour. */
export function rate(perSecond: number, what = 'req'): string {
  if (perSecond === 0) return `0${SPACE}${what}/s`;
  if (perSecond >= 0.1) return `${count(perSecond)}${SPACE}${what}/s`;
  const perMinute = perSecond * 60;
  return perMinute >= 0.1 ? `${count(perMinute)}${SPACE}${what}/min` : `${count(perMinute * 60)}${SPACE}${what}/h`;
}

export const duration = (us: number | null | undefined): string =>
  us === null || us === undefined ? NONE : us === 0 ? `0${SPACE}µs` : scaled(us, DURATIONS);

export const bytes = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : scaled(value, BYTES);

export function ratio(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const percent = value * 100;
  if (percent > 0 && percent < 0.1) return `<0.1${SPACE}%`;
  const digits = percent >= 10 ? 0 : 1;
  // 99.96 % must not read as 100 %: not everything failed.
  const shown = percent < 100 && Number(percent.toFixed(digits)) >= 100 ? 99.9 : Number(percent.toFixed(digits));
  return `${shown}${SPACE}%`;
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)}${SPACE}${n === 1 ? one : many}`;

/** Connections are counted when they open, so one that was open already is none of this range. */
export const connections = (n: number): string => (n > 0 ? plural(n, 'connection') : 'an older connection');
