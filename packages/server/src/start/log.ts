/** Structured logs, a JSON object a line, to the standard error stream (and so to the journal under systemd). */
import { destination, pino } from 'pino';
import type { Log } from '@xenolith/xapi';

export const logLevels = ['silent', 'error', 'warn', 'info'] as const;
export type LogLevel = (typeof logLevels)[number];

/** A log at a level; `silent` writes nothing. Lines are written at once: the last words before a crash count most. */
export function openLog(level: LogLevel): Log {
  const logger = pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    destination({ fd: 2, sync: true }),
  );
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
  };
}
