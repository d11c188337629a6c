import { median, spread, timeMs, type Bench, type Outcome, type Size } from './bench.ts';
import { login } from './client.ts';
import { startXenolithd } from './process.ts';
import { post } from './raw-http.ts';

async function measure(size: Size, kind: 'json' | 'xml'): Promise<Outcome> {
  const vms = size === 'full' ? 1000 : 5;
  const rounds = size === 'full' ? 11 : 1;
  const xenolithd = await startXenolithd();
  try {
    const client = await login(xenolithd);
    const templates = (await client.call('VM.get_all_records')) as Readonly<Record<string, { is_a_template: boolean }>>;
    const template = Object.keys(templates).find((ref) => templates[ref]?.is_a_template === true);
    for (let i = 0; i < vms; i++) await client.call('VM.clone', template, `bench ${i}`);
    const xml = `<?xml version="1.0"?><methodCall><methodName>VM.get_all_records</methodName><params><param><value>${client.session}</value></param></params></methodCall>`;
    const body = kind === 'json' ? client.body('VM.get_all_records') : xml;
    const samples: number[] = [];
    let bytes = 0;
    for (let round = -1; round < rounds; round++) {
      // A change before each round, so that what is kept from the round before does not flatter it wholly.
      await client.call('VM.set_name_label', template, `changed ${round}`);
      const elapsed = await timeMs(async () => {
        bytes = (await post({ port: xenolithd.port, path: kind === 'json' ? '/jsonrpc' : '/', body })).length;
      });
      if (round >= 0) samples.push(elapsed);
    }
    return {
      lines: [`${vms} VMs and the rest, ${(bytes / 1e6).toFixed(1)} MB: ${spread(samples)} ms`],
      figure: median(samples),
      unit: 'ms',
    };
  } finally {
    await xenolithd.stop();
  }
}

export const allRecordsJson: Bench = {
  name: 'all-records-json',
  what: 'VM.get_all_records of 1,000 VMs over JSON-RPC',
  bar: { text: 'below 100 ms', holds: (ms) => ms < 100 },
  run: (size) => measure(size, 'json'),
};

export const allRecordsXml: Bench = {
  name: 'all-records-xml',
  what: 'VM.get_all_records of 1,000 VMs over XML-RPC',
  bar: { text: 'below 250 ms', holds: (ms) => ms < 250 },
  run: (size) => measure(size, 'xml'),
};
