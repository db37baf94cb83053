import { isDay } from '../../crds/day.ts';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
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

/**
 * Python's `datetime.strftime` for midnight UTC of a day, in the C locale. It does not depend on the clock, time zone
 * or language of the machine. `%-d` omits leading zeros, as on Linux.
 * @param day as 2026-11-30
 * @throws Error for a directive that Python does not document, and for an invalid day
 */
export function strftime(day: string, format: string): string {
  if (!isDay(day)) throw new Error(`${day} is not a valid date`);
  const at = new Date(`${day}T00:00:00Z`);
  const [year, month, date, weekday] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCDay()];
  const dayOfYear = Math.round((at.getTime() - Date.UTC(year, 0, 1)) / DAY_MS);
  const [dayName = '', monthName = ''] = [DAYS[weekday], MONTHS[month]];
  const fields: Readonly<Record<string, string>> = {
    a: dayName.slice(0, 3),
    A: dayName,
    w: String(weekday),
    u: String(weekday || 7),
    d: padded(date, 2),
    b: monthName.slice(0, 3),
    B: monthName,
    m: padded(month + 1, 2),
    y: padded(year % 100, 2),
    Y: padded(year, 4),
    H: '00',
    I: '12',
    p: 'AM',
    M: '00',
    S: '00',
    f: '000000',
    z: '',
    Z: '',
    j: padded(dayOfYear + 1, 3),
    U: padded(Math.floor((dayOfYear + 7 - weekday) / 7), 2),
    W: padded(Math.floor((dayOfYear + 7 - ((weekday + 6) % 7)) / 7), 2),
    c: `${dayName.slice(0, 3)} ${monthName.slice(0, 3)} ${String(date).padStart(2)} 00:00:00 ${padded(year, 4)}`,
    x: `${padded(month + 1, 2)}/${padded(date, 2)}/${padded(year % 100, 2)}`,
    X: '00:00:00',
    F: day,
    T: '00:00:00',
    '%': '%',
  };
  return format.replace(/%(-?)([\s\S]?)/g, (directive, short: string, letter: string) => {
    const text = Object.hasOwn(fields, letter) ? fields[letter] : undefined;
    if (text === undefined) throw new Error(`strftime_now does not support ${directive}`);
    return short === '' ? text : text.replace(/^0+(?=\d)/, '');
  });
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
