/** Answers that say no: small pages, as XAPI's. */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Text in a page. */
export const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const page = (status: number, reason: string): string => {
  const title = `${status} ${STATUS_CODES[status] ?? ''}`.trim();
  return `<html><head><title>${title}</title></head><body><h1>${title}</h1><p>${escapeHtml(reason)}</p></body></html>\n`;
};

const challenge = 'Basic realm="xenolith"';

/** Refuses a request whose body was read, or that has none. @param headers further ones */
export function refuse(
  response: ServerResponse,
  status: number,
  reason: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = page(status, reason);
  response.writeHead(status, {
    'Content-Type': 'text/html',
    'Content-Length': Buffer.byteLength(body),
    ...(status === 401 ? { 'WWW-Authenticate': challenge } : {}),
    ...headers,
  });
  response.end(body);
}

/** A refusal as bytes, for a connection that is no longer the HTTP server's. */
export function rawRefusal(status: number, reason: string): string {
  const body = page(status, reason);
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: text/html\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n` +
    (status === 401 ? `WWW-Authenticate: ${challenge}\r\n` : '') +
    `\r\n${body}`
  );
}

/** Refuses on a connection of our own, and ends it. */
export function refuseTunnel(socket: Duplex, status: number, reason: string): void {
  socket.end(rawRefusal(status, reason));
}

/**
 * Refuses a request whose body we will not read, and ends the connection. The client may be in the middle of sending:
 * were the connection closed under it, the kernel would answer its bytes with a reset, and the refusal would be lost.
 * So our side ends, and what still comes is dropped unseen, for at most `lingerMs`.
 */
export function refuseUnread(request: IncomingMessage, status: number, reason: string, lingerMs: number): void {
  const { socket } = request;
  socket.end(rawRefusal(status, reason));
  const limit = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(limit));
  request.on('error', () => undefined);
  request.once('end', () => socket.destroy());
  request.resume();
}
