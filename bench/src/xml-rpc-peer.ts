import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeXmlAny, parseXmlRpcResponse, xmlRpcSuccess, type WireValue } from '@xenolith/wire';
import { cpuSeconds, median, spread, type Bench } from './bench.ts';
import { login } from './client.ts';
import { startXenolithd } from './process.ts';

const client = new URL('../peers/xmlrpc-client.py', import.meta.url).pathname;

/** The same answer read by ours and by Python's xmlrpc.client, in one run. */
export const xmlRpcPeer: Bench = {
  name: 'xml-rpc',
  what: 'VM.get_all_records of 1,000 VMs as XML-RPC: read, against Python’s xmlrpc.client (CPU time), and written',
  bar: { text: 'read faster than Python, written at 100 MB/s', holds: (figure) => figure >= 1 },
  run: async (size) => {
    const [vms, rounds] = size === 'full' ? [1000, 9] : [5, 1];
    const xenolithd = await startXenolithd();
    const directory = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
    try {
      const session = await login(xenolithd);
      const all = (await session.call('VM.get_all_records')) as Readonly<Record<string, WireValue>>;
      const records = Object.values(all);
      const many: WireValue = Object.fromEntries(
        Array.from({ length: vms }, (_, i) => [`OpaqueRef:${i}`, records[i % records.length] ?? null]),
      );
      const text = xmlRpcSuccess(encodeXmlAny(many));
      const file = join(directory, 'answer.xml');
      writeFileSync(file, text);
      const megabytes = Buffer.byteLength(text) / 1e6;
      const bytes = Buffer.from(text);
      const read: number[] = [];
      const written: number[] = [];
      const python: number[] = [];
      for (let round = -2; round < rounds; round++) {
        const reading = megabytes / cpuSeconds(() => parseXmlRpcResponse(bytes));
        const writing = megabytes / cpuSeconds(() => encodeXmlAny(many));
        if (round < 0) continue;
        read.push(reading);
        written.push(writing);
        const { status, stdout } = spawnSync('/usr/bin/python3', [client, file, '1'], { encoding: 'utf8' });
        if (status === 0) python.push(megabytes / Number(stdout.trim()));
      }
      const ratio = python.length === 0 ? Number.NaN : median(read) / median(python);
      const lines = [
        `read ${spread(read, 0)} MB/s`,
        python.length === 0
          ? 'Python: not installed'
          : `Python reads ${spread(python, 0)} MB/s: ${ratio.toFixed(1)} times slower`,
        `written ${spread(written, 0)} MB/s, of ${megabytes.toFixed(1)} MB`,
      ];
      const writing = median(written) / 100;
      return { lines, figure: Number.isNaN(ratio) ? writing : Math.min(ratio, writing), unit: 'of the nearest bar' };
    } finally {
      await xenolithd.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
