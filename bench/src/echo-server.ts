/**
 * The peer: the least that node:http can do with a JSON request: read it whole, answer it whole. What is sent to `/hold` is
 * answered when something is sent to `/release`, by that; `/held` tells how many wait.
 */
import { createServer, type ServerResponse } from 'node:http';

let held: ServerResponse[] = [];

function answer(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  response.end(body);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    if (request.url === '/hold') {
      held.push(response);
      return;
    }
    answer(response, request.url === '/held' ? Buffer.from(String(held.length)) : body);
    if (request.url !== '/release') return;
    const released = held;
    held = [];
    for (const waiting of released) answer(waiting, body);
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) console.log(`listening ${address.port}`);
});
