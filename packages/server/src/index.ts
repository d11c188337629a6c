/** @xenolith/server: xenolithd. The XenAPI over HTTP and TLS, consoles, the durable store. */
export { defaultHttpLimits, type HttpLimits } from './http/limits.ts';
export { writeEnvFile, type Credentials } from './start/env-file.ts';
export { StartError } from './start/start-error.ts';
export { systemClock, systemRandom } from './start/system-clock.ts';
export { scryptPasswords } from './start/passwords.ts';
export { SqliteStore, StoreError, type StoreErrorCode } from './store/sqlite-store.ts';
export { serverVersion, startXenolithd, type Xenolithd, type XenolithdOptions } from './xenolithd.ts';
