/**
 * A float as C's `%.16g` prints it, which is how XAPI writes one (PROTOCOL.md §2): 16 significant digits, no trailing zeros,
 * an exponent of at least two digits below 1e-4 and from 1e16; `nan`, `inf`, `-inf`.
 */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  if (Object.is(value, -0)) return '-0';
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const scientific = value.toExponential(15);
  const e = scientific.indexOf('e');
  const exponent = Number(scientific.slice(e + 1));
  if (exponent >= -4 && exponent < 16) return stripZeros(value.toPrecision(16));
  const digits = String(Math.abs(exponent)).padStart(2, '0');
  return `${stripZeros(scientific.slice(0, e))}e${exponent < 0 ? '-' : '+'}${digits}`;
}

const stripZeros = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const words: { readonly [word: string]: number } = {
  nan: NaN,
  inf: Infinity,
  infinity: Infinity,
};

/** The float that a text stands for (decimal, `nan`, `inf`, `infinity`, any case, with a sign), `undefined` when none. */
export function parseDouble(text: string): number | undefined {
  if (decimal.test(text)) return Number(text);
  const negative = text.startsWith('-');
  const word = (negative || text.startsWith('+') ? text.slice(1) : text).toLowerCase();
  const value = Object.hasOwn(words, word) ? words[word] : undefined;
  return value === undefined ? undefined : negative ? -value : value;
}
