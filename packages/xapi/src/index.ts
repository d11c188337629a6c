export * from './host-driver.ts';
