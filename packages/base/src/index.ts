export * from './assert.ts';
export * from './brand.ts';
export * from './clock.ts';
export * from './disposable.ts';
export * from './random.ts';
export * from './result.ts';
export * from './signal.ts';
export * from './units.ts';
export { isAllZero } from './zeros.ts';
