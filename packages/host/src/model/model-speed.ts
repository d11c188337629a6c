import type { Result } from '@xenolith/base';

/** Model time goes with the wall clock. */
export const usualModelSpeed = 1;
/** At the slowest a guest boots within the hour. */
const speedMin = 0.001;
/** At the fastest a guest boots within 2 ms, and a machine with little to do takes little of the processor's time. */
const speedMax = 1000;

/**
 * How fast the time of modelled hosts goes, in model seconds per second of the wall clock (a real-time factor, as other
 * simulators call it); `max` is as fast as the processor goes, up to the highest speed. A failure says what is expected.
 */
export function parseModelSpeed(text: string): Result<number, string> {
  if (text === 'max') return { ok: true, value: speedMax };
  const speed = /^(\d+\.?|\d*\.\d+)$/.test(text) ? Number(text) : NaN;
  if (speed >= speedMin && speed <= speedMax) return { ok: true, value: speed };
  return {
    ok: false,
    error: `expected model seconds per second, ${speedMin} to ${speedMax} (${usualModelSpeed} is the wall clock's speed), or max`,
  };
}
