// Times are shown in the browser's zone, on a 24 hour clock.

const two = (n: number): string => String(n).padStart(2, '0');

export function clock(seconds: number): string {
  const d = new Date(seconds * 1000);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export function clockMillis(us: number): string {
  const millis = Math.floor(us / 1000) % 1000;
  return `${clock(us / 1e6)}.${String(millis).padStart(3, '0')}`;
}

export function day(seconds: number): string {
  const d = new Date(seconds * 1000);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

export const full = (us: number): string => `${day(us / 1e6)} ${clockMillis(us)}`;

/** A range in as few words as it needs: the day only where it is not today, seconds only for short ranges. */
export function span(from: number, to: number, now = Date.now() / 1000): string {
  const trim = (text: string): string => (to - from >= 600 && text.endsWith(':00') ? text.slice(0, -3) : text);
  const start = trim(clock(from));
  const end = trim(clock(to));
  const sameDay = day(from) === day(to);
  if (sameDay && day(to) === day(now)) return `${start} – ${end}`;
  const short = (s: number): string => day(s).slice(5);
  return sameDay ? `${short(from)} ${start} – ${end}` : `${short(from)} ${start} – ${short(to)} ${end}`;
}

export function ago(seconds: number, now = Date.now() / 1000): string {
  const past = Math.max(0, now - seconds);
  if (past < 10) return 'just now';
  if (past < 90) return `${Math.round(past)} s ago`;
  if (past < 5400) return `${Math.round(past / 60)} min ago`;
  return past < 129_600 ? `${Math.round(past / 3600)} h ago` : `${Math.round(past / 86_400)} d ago`;
}

/** For <input type="datetime-local">, which wants local time without a zone. */
export const toInput = (seconds: number): string => `${day(seconds)}T${clock(seconds)}`;
export const fromInput = (text: string): number => new Date(text).getTime() / 1000;
