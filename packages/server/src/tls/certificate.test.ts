import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { certificateFile, keyFile, serverCertificate } from './certificate.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-tls-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

test('the first start makes a certificate for the names of this machine, later ones keep it', async () => {
  const made = await serverCertificate(directory, 'xen.example');
  const certificate = new X509Certificate(made.certificate);
  expect(certificate.checkHost('localhost')).toBe('localhost');
  expect(certificate.checkHost('xen.example')).toBe('xen.example');
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(certificate.checkIP('::1')).toBe('::1');
  expect(certificate.checkIP('192.0.2.1')).toBeUndefined();
  expect(certificate.ca).toBe(false);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
  expect(made.validUntil.getTime() - Date.now()).toBeGreaterThan(3000 * 24 * 3600 * 1000);
  expect(statSync(join(directory, keyFile)).mode & 0o777).toBe(0o600);
  expect(await serverCertificate(directory, 'other.example')).toEqual(made);
});

test('two starts make two keys', async () => {
  const first = await serverCertificate(directory, '127.0.0.1');
  rmSync(join(directory, keyFile));
  rmSync(join(directory, certificateFile));
  expect((await serverCertificate(directory, '127.0.0.1')).key).not.toBe(first.key);
});

test.each([
  ['the key is missing', () => rmSync(join(directory, keyFile)), keyFile],
  ['the certificate is missing', () => rmSync(join(directory, certificateFile)), certificateFile],
  ['the key is damaged', () => writeFileSync(join(directory, keyFile), 'no key'), 'cannot be used'],
])('nothing is made anew when %s', async (_what, damage, words) => {
  await serverCertificate(directory, '127.0.0.1');
  damage();
  const before = [keyFile, certificateFile].map((file) => tryRead(join(directory, file)));
  await expect(serverCertificate(directory, '127.0.0.1')).rejects.toThrow(words);
  expect([keyFile, certificateFile].map((file) => tryRead(join(directory, file)))).toEqual(before);
});

test('a key of another certificate is refused', async () => {
  const first = await serverCertificate(directory, '127.0.0.1');
  rmSync(join(directory, keyFile));
  rmSync(join(directory, certificateFile));
  await serverCertificate(directory, '127.0.0.1');
  writeFileSync(join(directory, keyFile), first.key);
  await expect(serverCertificate(directory, '127.0.0.1')).rejects.toThrow('cannot be used');
});

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
