/** `GET /audit_log`: who did what, as text. XAPI: ocaml/xapi/audit_log.ml. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Log, Xapi } from '@xenolith/xapi';
import type { AuditFile } from '../start/audit-file.ts';
import { authenticate } from './authenticate.ts';
import { refuse } from './refuse.ts';
import type { Handler } from './router.ts';

/** `since` is a moment as the lines have it (`20260101T00:00:00Z`, or less of it); XenCenter also writes dashes. */
const sinceForm = /^(?:\d{8}(?:T[\d:.]{0,12}Z?)?)?$/;

/** Every role may read it, as `get_audit_log` of XAPI. */
export function auditLogHandler(xapi: Xapi, audit: AuditFile, log: Log): Handler {
  return (request, response, target) => {
    const serve = async (): Promise<void> => {
      const since = (target.query.get('since') ?? '').replaceAll('-', '').replace(/Z$/, '');
      const caller = await authenticate(xapi, request, target);
      if (caller === undefined) {
        refuse(response, 401, 'A session_id (cookie or query) or a user and password are needed.');
        return;
      }
      xapi.audit.http(xapi.sessions.subjectOf(caller.session), 'get_audit_log');
      caller.release();
      if (!sinceForm.test(since)) {
        refuse(response, 400, 'since is a time such as 20260101T00:00:00Z.');
        return;
      }
      response.writeHead(200, {
        'Content-Type': 'text/plain; charset=utf-8',
        'Cache-Control': 'no-cache, no-store',
        'X-Content-Type-Options': 'nosniff',
        Connection: 'close',
      });
      await pipeline(Readable.from(withNewlines(audit.lines(since))), response);
    };
    serve().catch((error: unknown) => {
      log.info('the audit log was not read to its end', { error: String(error) });
      if (!response.headersSent) refuse(response, 500, 'The audit log cannot be read.');
      else response.destroy();
    });
  };
}

async function* withNewlines(lines: AsyncGenerator<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
