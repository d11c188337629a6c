/** The server's certificate: one of its own making at first start, or one that its operator has put in its place. */
import { existsSync, readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { writePrivateFile } from '../start/private-file.ts';

export interface ServerCertificate {
  /** PEM. */
  readonly key: string;
  readonly certificate: string;
  readonly validUntil: Date;
}

export const keyFile = 'tls-key.pem';
export const certificateFile = 'tls-certificate.pem';

/** A self-signed certificate cannot be renewed by anybody else, so it lasts as long as those of a Xen host. */
const validDays = 3650;

/** Names and addresses that a client may reach us by. */
const ownNames = (listenHost: string): readonly string[] => {
  const names = new Set(['localhost', hostname(), '127.0.0.1', '::1', listenHost]);
  for (const any of ['0.0.0.0', '::', '']) names.delete(any);
  return [...names];
};

/**
 * The certificate in a data directory, made (EC P-256, self-signed) when there is none.
 * @throws Error saying which file is wrong, when one is missing, unreadable, or does not belong to the other
 */
export async function serverCertificate(directory: string, listenHost: string): Promise<ServerCertificate> {
  const keyPath = join(directory, keyFile);
  const certificatePath = join(directory, certificateFile);
  if (!existsSync(keyPath) && !existsSync(certificatePath)) {
    const made = await makeCertificate(ownNames(listenHost));
    // The key first: a certificate is only there with its key.
    writePrivateFile(keyPath, made.key);
    writePrivateFile(certificatePath, made.certificate);
  }
  const key = readFileSync(keyPath, 'utf8');
  const certificate = readFileSync(certificatePath, 'utf8');
  try {
    createSecureContext({ key, cert: certificate });
    return { key, certificate, validUntil: new Date(new X509Certificate(certificate).validTo) };
  } catch (error) {
    throw new Error(`${certificatePath} and ${keyPath} cannot be used: ${String(error)}`, { cause: error });
  }
}

/** A certificate that is kept nowhere: for a server that lives as long as a test. */
export const passingCertificate = (
  listenHost: string,
): Promise<{ readonly key: string; readonly certificate: string }> => makeCertificate(ownNames(listenHost));

async function makeCertificate(
  names: readonly string[],
): Promise<{ readonly key: string; readonly certificate: string }> {
  // The library finds its classes by metadata, for which it needs this polyfill loaded before it. Both are only
  // loaded here: later starts have no use for them.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    keys,
    name: [{ CN: ['localhost'], O: ['Xenolith'] }],
    // A client whose clock is a little behind must not find it from the future.
    notBefore: new Date(now - 24 * 60 * 60 * 1000),
    notAfter: new Date(now + validDays * 24 * 60 * 60 * 1000),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), certificate: certificate.toString('pem') };
}
