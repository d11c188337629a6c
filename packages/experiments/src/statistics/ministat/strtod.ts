/** Numbers as C's `strtod` reads them. */

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const hexadecimal = /^([+-]?)0x([\da-f]*)\.?([\da-f]*)(?:p([+-]?\d+))?$/i;
const leadingSpace = /^[ \t\n\v\f\r]+/;

/**
 * The number that a text is from its first to its last character, with nothing but white space before it: decimal or
 * hexadecimal, with or without an exponent, rounded to the nearest double. Undefined for anything else, infinities and
 * NaN too, which are numbers to C.
 */
export function strtod(given: string): number | undefined {
  const text = given.replace(leadingSpace, '');
  const value = decimal.test(text) ? Number(text) : parseHexadecimal(text);
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

function parseHexadecimal(text: string): number | undefined {
  const [, sign, whole = '', fraction = '', exponent = '0'] = hexadecimal.exec(text) ?? [];
  if (sign === undefined || whole + fraction === '') return undefined;
  const magnitude = Number(BigInt(`0x${whole}${fraction}`)) * 2 ** (Number(exponent) - 4 * fraction.length);
  return sign === '-' ? -magnitude : magnitude;
}
