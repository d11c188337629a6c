import { bytes, type Bytes } from './brand.ts';

export const kibBytes = 1024;
export const mibBytes = 1024 * 1024;
export const gibBytes = 1024 * 1024 * 1024;

/** Bytes from mebibytes. */
export const fromMib = (mib: number): Bytes => bytes(mib * mibBytes);
/** Bytes from kibibytes. */
export const fromKib = (kib: number): Bytes => bytes(kib * kibBytes);
/** Whole mebibytes, rounded up: what `xl` takes for a size that must hold at least `value`. */
export const toMibUp = (value: Bytes): number => Math.ceil(value / mibBytes);
/** Kibibytes of a whole number of them. */
export const toKib = (value: Bytes): number => value / kibBytes;
