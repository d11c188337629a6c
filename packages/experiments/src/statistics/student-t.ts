/** Student's t distribution: how far off a mean of few values may be. */
import { assert } from '@xenolith/base';

/**
 * The value that lies in the middle part `confidence` (such as 0.95) of Student's t distribution: |t| is not above it with
 * that probability. For one degree of freedom at 0.95 it is 12.706, for many 1.960.
 * @param degrees degrees of freedom, at least 1
 */
export function studentT(degrees: number, confidence: number): number {
  assert(degrees >= 1, `${degrees} degrees of freedom`);
  assert(confidence > 0 && confidence < 1, `a confidence of ${confidence}`);
  const outside = 1 - confidence;
  // P(|t| > value) falls with the value; it is found by halving.
  let low = 0;
  let high = 1;
  while (twoSidedTail(high, degrees) > outside) high *= 2;
  for (let step = 0; step < 200 && high - low > high * 1e-14; step++) {
    const middle = (low + high) / 2;
    if (twoSidedTail(middle, degrees) > outside) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(|t| > value) = I(x; n/2, 1/2) with x = n / (n + value²) (Abramowitz and Stegun 26.7.1, 26.5.27). */
const twoSidedTail = (value: number, degrees: number): number =>
  incompleteBeta(degrees / (degrees + value * value), degrees / 2, 0.5);

/** The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast below the mean only; above it, the function's mirror image is taken.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  return (front / a) * betaFraction(x, a, b);
}

/** Lentz's evaluation of the fraction. */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const away = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    const change = d * c;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return fraction;
}

/** ln Γ(z) for z > 0: Stirling's series (Abramowitz and Stegun 6.1.41), after moving z up to where it is exact enough. */
function logGamma(z: number): number {
  let shift = 0;
  let at = z;
  for (; at < 15; at++) shift += Math.log(at);
  const inverse = 1 / (at * at);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / at;
  return (at - 0.5) * Math.log(at) - at + Math.log(2 * Math.PI) / 2 + series - shift;
}
