// strftime(3) in the C locale, for `@X` in the format of `martlet sub`.

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const DAY_MS = 86_400_000;

/** The local time of `date` as `%X` gives it, `code` being X. Unknown conversions come out as they are, as in glibc. */
export function strftime(code: string, date: Date): string {
  const hour = date.getHours();
  const hour12 = hour % 12 === 0 ? 12 : hour % 12;
  switch (code) {
    case 'a':
      return days[date.getDay()]!.slice(0, 3);
    case 'A':
      return days[date.getDay()]!;
    case 'b':
    case 'h':
      return months[date.getMonth()]!.slice(0, 3);
    case 'B':
      return months[date.getMonth()]!;
    case 'c':
      return joined('a b e T Y', ' ', date);
    case 'C':
      return two(Math.floor(date.getFullYear() / 100));
    case 'd':
      return two(date.getDate());
    case 'D':
    case 'x':
      return joined('m d y', '/', date);
    case 'e':
      return blank(date.getDate());
    case 'F':
      return joined('Y m d', '-', date);
    case 'g':
      return two(isoWeek(date).year % 100);
    case 'G':
      return String(isoWeek(date).year);
    case 'H':
      return two(hour);
    case 'I':
      return two(hour12);
    case 'j':
      return String(dayOfYear(date) + 1).padStart(3, '0');
    case 'k':
      return blank(hour);
    case 'l':
      return blank(hour12);
    case 'm':
      return two(date.getMonth() + 1);
    case 'M':
      return two(date.getMinutes());
    case 'n':
      return '\n';
    case 'p':
      return hour < 12 ? 'AM' : 'PM';
    case 'P':
      return hour < 12 ? 'am' : 'pm';
    case 'r':
      return `${joined('I M S', ':', date)} ${strftime('p', date)}`;
    case 'R':
      return joined('H M', ':', date);
    case 's':
      return String(Math.floor(date.getTime() / 1_000));
    case 'S':
      return two(date.getSeconds());
    case 't':
      return '\t';
    case 'T':
    case 'X':
      return joined('H M S', ':', date);
    case 'u':
      return String(date.getDay() === 0 ? 7 : date.getDay());
    case 'U':
      return two(weekOfYear(date, 0));
    case 'V':
      return two(isoWeek(date).week);
    case 'w':
      return String(date.getDay());
    case 'W':
      return two(weekOfYear(date, 1));
    case 'y':
      return two(date.getFullYear() % 100);
    case 'Y':
      return String(date.getFullYear());
    case 'z':
      return zoneOffset(date);
    case 'Z':
      return zoneName(date);
    case '%':
      return '%';
    default:
      return `%${code}`;
  }
}

function joined(codes: string, separator: string, date: Date): string {
  return codes
    .split(' ')
    .map((code) => strftime(code, date))
    .join(separator);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function blank(value: number): string {
  return String(value).padStart(2, ' ');
}

/** Days since 1 January, of the local date. */
function dayOfYear(date: Date): number {
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return (day - Date.UTC(date.getFullYear(), 0, 1)) / DAY_MS;
}

/** Weeks that began this year; `firstDay` 0 for Sunday, 1 for Monday. */
function weekOfYear(date: Date, firstDay: number): number {
  const daysIntoWeek = (date.getDay() - firstDay + 7) % 7;
  return Math.floor((dayOfYear(date) + 7 - daysIntoWeek) / 7);
}

/** ISO 8601: the week belongs to the year its Thursday lies in. */
function isoWeek(date: Date): { year: number; week: number } {
  const toThursday = 3 - ((date.getDay() + 6) % 7);
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + toThursday);
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}

function zoneOffset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

function zoneName(date: Date): string {
  const name = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
    .formatToParts(date)
    .find((part) => part.type === 'timeZoneName')?.value;
  return name ?? 'UTC';
}

/** `%`, a flag, a width, a modifier that means nothing in the C locale, and the letter. */
const conversion = /%([-_0^#]?)(\d*)[EO]?([\s\S])/gu;

/**
 * The local time of `date` as strftime(3) writes it. Of glibc's flags `-` leaves out blanks and zeros in front, `_` and
 * `0` say which of them stand there, and `^` makes capitals.
 */
export function formatTime(format: string, date: Date): string {
  return format.replace(conversion, (_, flag: string, width: string, code: string) => {
    const text = strftime(code, date);
    if (flag === '' && width === '') return text;
    const isNumber = /^[ \d]\d*$/.test(text);
    const bare = isNumber ? text.replace(/^[ 0]+(?=\d)/, '') : text;
    if (flag === '-') return bare;
    const fill = flag === '_' || (flag !== '0' && (!isNumber || text.startsWith(' '))) ? ' ' : '0';
    const padded = bare.padStart(width === '' ? text.length : Number(width), fill);
    return flag === '^' ? padded.toUpperCase() : padded;
  });
}
