import { assert } from '@xenolith/base';

const two = (n: number): string => (n < 10 ? `0${n}` : `${n}`);

/**
 * A moment as XenAPI writes it: `YYYYMMDDTHH:MM:SSZ`, no dashes in the date, colons in the time, always UTC (PROTOCOL.md §2).
 * `epochMs` is milliseconds since 1970-01-01T00:00:00Z in the years 0 … 9999; parts of a second are dropped.
 */
export function formatDateTime(epochMs: number): string {
  const date = new Date(epochMs);
  const year = date.getUTCFullYear();
  assert(year >= 0 && year <= 9999, `a moment outside the years 0 to 9999: ${epochMs}`);
  const day = `${String(year).padStart(4, '0')}${two(date.getUTCMonth() + 1)}${two(date.getUTCDate())}`;
  return `${day}T${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}Z`;
}

const pattern = /^(\d{4})-?(\d\d)-?(\d\d)T(\d\d):?(\d\d):?(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)?$/;

/**
 * Milliseconds since the epoch of a date-time text, `undefined` when it is none. Read: the form of `formatDateTime`, the same
 * with dashes, with a fraction of a second, with an offset `+HH:MM`, or without zone (taken as UTC, PROTOCOL.md §2).
 */
export function parseDateTime(text: string): number | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (hour === undefined || minute === undefined || second === undefined) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // A day that the month does not have lands in another month.
  if (date.getUTCMonth() !== month - 1) return undefined;
  date.setUTCHours(hour, minute, second, Number((match[7] ?? '').padEnd(3, '0').slice(0, 3)));
  const zoneMinutes = offsetMinutes(match[8] ?? 'Z');
  return zoneMinutes === undefined ? undefined : date.getTime() - zoneMinutes * 60_000;
}

function offsetMinutes(zone: string): number | undefined {
  if (zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || '0');
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}
