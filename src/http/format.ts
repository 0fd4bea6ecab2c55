const count = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** `1,234,567`. */
export function formatCount(value: number): string {
  return count.format(value);
}

/** `0.4`, `12`, `1,234`: a digit behind the point only where it says something. */
export function formatRate(perSecond: number): string {
  return (perSecond < 10 ? oneDigit : count).format(perSecond);
}

/** `532 B`, `1.2 kB`, `48 MB`: three significant digits at most, in steps of a thousand. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${(value < 9.95 && unit > 0 ? oneDigit : count).format(value)} ${units[unit]}`;
}

/** `42 s`, `5 min 12 s`, `3 h 7 min`, `12 d 4 h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${formatCount(Math.floor(whole / 86_400))} d ${Math.floor((whole % 86_400) / 3_600)} h`;
}

/** `1 session`, `2 sessions`. */
export function formatNumberOf(value: number, one: string, many = `${one}s`): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}
