/**
 * When a schedule of snapshots is due: `VMSS.frequency` and the map `VMSS.schedule`. Times are UTC, as all times of the
 * XenAPI are here; XAPI takes the local time of the coordinator. XAPI: ocaml/xapi/xapi_vmss.ml, map_check.ml.
 */
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';

type Frequency = EnumOf<'vmss_frequency'>;
type Schedule = RecordOf<'VMSS'>['schedule'];
type Key = 'min' | 'hour' | 'days';

/** Schedules are looked at so often: `min` is a quarter of an hour. */
export const quarterMs = 15 * 60 * 1000;

/** Most snapshots that are kept of a VM, and least. */
const retainedMax = 10;

const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

const isDay = (text: string): boolean => dayNames.some((name) => name === text);

const keys: Readonly<Record<Key, { readonly ifAbsent: string; readonly isValid: (value: string) => boolean }>> = {
  min: { ifAbsent: '0', isValid: (value) => /^(?:0|15|30|45)$/.test(value) },
  hour: { ifAbsent: '0', isValid: (value) => /^(?:1?\d|2[0-3])$/.test(value) },
  days: { ifAbsent: 'Monday', isValid: (value) => value.split(',').every((day) => isDay(day.trim())) },
};

const keysOf: Readonly<Record<Frequency, readonly Key[]>> = {
  hourly: ['min'],
  daily: ['hour', 'min'],
  weekly: ['hour', 'min', 'days'],
};

/** @throws XapiError INVALID_VALUE [schedule:key, value] for a key that there is not, or a value that it cannot have */
export function assertSchedule(schedule: Schedule, allowed: readonly string[] = Object.keys(keys)): void {
  for (const [key, value] of Object.entries(schedule)) {
    if (!allowed.includes(key) || !keys[key as Key].isValid(value)) {
      throw new XapiError('INVALID_VALUE', `schedule:${key}`, value);
    }
  }
}

/** What a schedule needs for a frequency: all of its keys, and no other. */
export const scheduleFor = (frequency: Frequency, given: Schedule): Schedule =>
  Object.fromEntries(keysOf[frequency].map((key) => [key, given[key] ?? keys[key].ifAbsent]));

/** The keys that a schedule of a frequency may have when it is made. */
export const keysFor = (frequency: Frequency): readonly string[] => keysOf[frequency];

/** @throws XapiError INVALID_VALUE [retained_snapshots, value] */
export function assertRetained(value: number): void {
  if (value < 1 || value > retainedMax) throw new XapiError('INVALID_VALUE', 'retained_snapshots', String(value));
}

/** Whether a schedule is due at a quarter of an hour, milliseconds since 1970. */
export function isDue(
  { frequency, schedule }: Pick<RecordOf<'VMSS'>, 'frequency' | 'schedule'>,
  timeMs: number,
): boolean {
  const time = new Date(timeMs);
  const wanted = scheduleFor(frequency, schedule);
  if (time.getUTCMinutes() !== Number(wanted['min'])) return false;
  if (frequency !== 'hourly' && time.getUTCHours() !== Number(wanted['hour'])) return false;
  const days = wanted['days']?.split(',').map((day) => day.trim()) ?? [];
  return frequency !== 'weekly' || days.includes(dayNames[time.getUTCDay()] ?? '');
}
