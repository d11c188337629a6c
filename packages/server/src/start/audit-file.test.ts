import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@xenolith/xapi';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startXenolithd } from '../xenolithd.ts';
import { auditFile, auditFilesMax, openAuditFile, type AuditFile } from './audit-file.ts';

let data = '';

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'xenolith-audit-'));
});

afterEach(() => {
  rmSync(data, { recursive: true, force: true });
});

async function linesOf(audit: AuditFile, since = ''): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of audit.lines(since)) lines.push(line);
  return lines;
}

const line = (n: number): string => `[20260101T00:00:${String(n).padStart(2, '0')}.000Z|info] ${n}`;

test('what is appended is read back in order, also by the next start', async () => {
  const first = openAuditFile(data, silentLog);
  first.append(line(1));
  first.append(line(2));
  first.close();
  first.append('after the end');
  const next = openAuditFile(data, silentLog);
  next.append(line(3));
  expect(await linesOf(next)).toEqual([line(1), line(2), line(3)]);
  expect(await linesOf(next, '20260101T00:00:02')).toEqual([line(2), line(3)]);
  expect(await linesOf(next, '2027')).toEqual([]);
  expect(statSync(join(data, auditFile)).mode & 0o777).toBe(0o600);
  next.close();
});

test('full files are put aside, and the oldest are dropped', async () => {
  const audit = openAuditFile(data, silentLog, line(10).length * 2);
  for (let n = 10; n < 40; n++) audit.append(line(n));
  const lines = await linesOf(audit);
  audit.close();
  expect(readdirSync(data)).toHaveLength(auditFilesMax + 1);
  expect(lines.length).toBeLessThan(30);
  expect(lines).toEqual(Array.from({ length: lines.length }, (_, n) => line(40 - lines.length + n)));
  for (const name of readdirSync(data)) expect(statSync(join(data, name)).size).toBeLessThan(line(10).length * 4);
});

test('a log that cannot be written is told once, and is no reason to fail', () => {
  const errors: string[] = [];
  const audit = openAuditFile(data, { ...silentLog, error: (message) => errors.push(message) }, 1);
  audit.append(line(1));
  rmSync(join(data, auditFile));
  audit.append(line(2));
  audit.append(line(3));
  expect(errors).toEqual(['the audit log cannot be written']);
});

test('a server writes it, and shows it to whoever may log in', async () => {
  const server = await startXenolithd({ data, modelPool: false });
  try {
    const basic = { Authorization: `Basic ${Buffer.from(`root:${server.password}`).toString('base64')}` };
    const get = (path: string, headers = {}): Promise<Response> => fetch(server.url + path, { headers });
    expect((await get('/audit_log')).status).toBe(401);
    expect((await get('/audit_log?session_id=OpaqueRef:none')).status).toBe(401);
    expect((await get('/audit_log?since=yesterday', basic)).status).toBe(400);
    const answer = await get('/audit_log', basic);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(await answer.text()).toMatch(/'session\.create'[^]*'HTTP' 'http\/get_audit_log' \(\)\)\n/);
    expect(await (await get('/audit_log?since=2100-01-01T00:00:00Z', basic)).text()).toBe('');
    const reader = server.xapi.sessions.open('ann', 'test', { superuser: false, role: 'read-only' });
    expect((await get(`/audit_log?session_id=${reader}`)).status).toBe(200);
  } finally {
    await server.close();
  }
});

test('a data directory where it cannot be is named', async () => {
  rmSync(data, { recursive: true });
  writeFileSync(data, '');
  await expect(startXenolithd({ data, modelPool: false })).rejects.toThrow(data);
});
