/** What a browser or a probe sees: a plain page that says what this is, and whether it is well. */
import type { Xapi } from '@xenolith/xapi';
import { escapeHtml } from './refuse.ts';
import type { Handler } from './router.ts';

/** `GET /`. */
export function welcomeHandler(xapi: Xapi): Handler {
  return (_request, response) => {
    const { db } = xapi;
    const count = (what: string, n: number): string => `${n} ${what}${n === 1 ? '' : 's'}`;
    const vms = [...db.all('VM')].filter(([, vm]) => !vm.is_a_template && !vm.is_a_snapshot && !vm.is_control_domain);
    const body = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Xenolith</title></head>
<body>
<h1>Xenolith</h1>
<p>xenolithd ${escapeHtml(xapi.version)}: the XenAPI of a pool of Xen hosts (${count('host', db.count('host'))}, ${count('VM', vms.length)}).</p>
<ul>
<li><code>POST /jsonrpc</code>: JSON-RPC 1.0 and 2.0</li>
<li><code>POST /</code>, <code>POST /RPC2</code>: XML-RPC</li>
<li><code>GET /console?uuid=…</code> (WebSocket), <code>CONNECT /console?uuid=…</code>: text consoles</li>
<li><a href="/healthz"><code>GET /healthz</code></a>: 200 while the database can be written</li>
</ul>
</body>
</html>
`;
    response.writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Content-Security-Policy': "default-src 'none'",
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(body);
  };
}

/** `GET /healthz`: 200 while what is acknowledged is kept, 503 once the store has failed. */
export function healthHandler(xapi: Xapi): Handler {
  return (_request, response) => {
    const answer = (status: number, body: string): void => {
      response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(body) });
      response.end(body);
    };
    xapi.db.durable().then(
      () => answer(200, 'ok\n'),
      (error: unknown) => answer(503, `${String(error)}\n`),
    );
  };
}
