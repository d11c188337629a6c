/** Numbers as C prints them with `%g`. */
import { assert } from '@xenolith/base';

/**
 * `%.<digits>g` of printf: so many significant digits, rounded to the nearest and halves to even by the exact value, without zeros
 * at the end; with an exponent of at least two digits where that is below -4 or not below `digits`. What is no number is `-nan`, as x86 makes it.
 * @param digits significant digits, from 1 to 17
 */
export function printfG(value: number, digits = 6): string {
  assert(Number.isInteger(digits) && digits >= 1 && digits <= 17, `${digits} digits`);
  if (Number.isNaN(value)) return '-nan';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (!Number.isFinite(value)) return `${sign}inf`;
  const [mantissa = '', exponentText = ''] = rounded(Math.abs(value), digits).split('e');
  const exponent = Number(exponentText);
  const figures = mantissa.replace('.', '');
  if (exponent < -4 || exponent >= digits) {
    const power = `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
    return `${sign}${withoutZeros(`${figures.charAt(0)}.${figures.slice(1)}`)}e${power}`;
  }
  if (exponent < 0) return `${sign}${withoutZeros(`0.${'0'.repeat(-exponent - 1)}${figures}`)}`;
  return `${sign}${withoutZeros(`${figures.slice(0, exponent + 1)}.${figures.slice(exponent + 1)}`)}`;
}

const withoutZeros = (text: string): string => text.replace(/\.?0*$/, '');

/** In scientific notation. JavaScript rounds the exact value as C does, but halves away from zero. */
function rounded(value: number, digits: number): string {
  const up = value.toExponential(digits - 1);
  const exact = value.toExponential(100);
  const mark = exact.indexOf('e');
  // The point stands after the first digit.
  const isHalf = exact.charAt(digits + 1) === '5' && /^0*$/.test(exact.slice(digits + 2, mark));
  const isEven = Number(exact.charAt(digits === 1 ? 0 : digits)) % 2 === 0;
  return isHalf && isEven ? `${exact.slice(0, digits === 1 ? 1 : digits + 1)}${exact.slice(mark)}` : up;
}
