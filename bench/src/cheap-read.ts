import { median, spread, type Bench } from './bench.ts';
import { login } from './client.ts';
import { startEcho, startXenolithd } from './process.ts';
import { load } from './raw-http.ts';

/** A cheap XenAPI read against a bare node:http echo of the same request. */
export const cheapRead: Bench = {
  name: 'cheap-read',
  what: 'VM.get_name_label over JSON-RPC, 8 connections, against a node:http echo of the same body',
  bar: { text: 'at least 0.70 of the echo', holds: (ratio) => ratio >= 0.7 },
  run: async (size) => {
    const count = size === 'full' ? 8000 : 50;
    const rounds = size === 'full' ? 9 : 1;
    const [echo, xenolithd] = [await startEcho(), await startXenolithd()];
    try {
      const client = await login(xenolithd);
      const [vm] = (await client.call('VM.get_all')) as readonly string[];
      const body = client.body('VM.get_name_label', vm);
      const rates: { echo: number; xenolithd: number }[] = [];
      // One round of each to warm up, then interleaved.
      for (let round = -1; round < rounds; round++) {
        const pair = {
          echo: await load({ port: echo.port, path: '/', body }, count, 8),
          xenolithd: await load({ port: xenolithd.port, path: '/jsonrpc', body }, count, 8),
        };
        if (round >= 0) rates.push(pair);
      }
      return {
        lines: [
          `echo      ${spread(
            rates.map((rate) => rate.echo),
            0,
          )} requests/s`,
          `xenolithd ${spread(
            rates.map((rate) => rate.xenolithd),
            0,
          )} requests/s`,
        ],
        figure: median(rates.map((rate) => rate.xenolithd / rate.echo)),
        unit: 'of the echo',
      };
    } finally {
      await xenolithd.stop();
      await echo.stop();
    }
  },
};
