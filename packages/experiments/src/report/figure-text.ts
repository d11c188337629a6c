/** A figure as text: four significant digits, no exponent. */
export function figureText(value: number): string {
  if (value === 0) return '0';
  const size = Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(6, Math.max(0, 3 - size)));
}
