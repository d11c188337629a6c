import { ManualClock, SeededRandom } from '@xenolith/base';
import { encodeJsonValue, encodeXmlValue } from '@xenolith/wire';
import { HostError, MemoryStore, parseDataType, silentLog, toWireType, Xapi, type Answer } from '@xenolith/xapi';
import { beforeAll, describe, expect, test } from 'vitest';
import { jsonEncoding, xmlEncoding } from './encode.ts';

const encodings = [
  ['JSON', jsonEncoding, encodeJsonValue],
  ['XML', xmlEncoding, encodeXmlValue],
] as const;

let xapi: Xapi;
let session = '';

beforeAll(async () => {
  xapi = new Xapi({
    store: new MemoryStore(),
    clock: new ManualClock(),
    random: new SeededRandom(1),
    secrets: new SeededRandom(2),
    passwords: { hash: () => Promise.resolve(''), verify: () => Promise.resolve(false) },
    openHost: () => {
      throw new HostError('unreachable', 'there are no hosts here');
    },
    log: silentLog,
    version: '0.0.0',
  });
  await xapi.start();
  session = xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
  for (let i = 0; i < 5; i++) {
    xapi.db.create('VM', { name_label: `<&"${i}`, other_config: { 'a\nb': '"', '<': '' }, memory_target: 2 ** 40 });
    xapi.db.create('network', { name_label: `n${i}`, tags: ['ü', ''] });
  }
});

async function answered(
  method: string,
  ...params: readonly (string | number | readonly string[])[]
): Promise<Answer & { ok: true }> {
  const answer = await xapi.call({ method, params: [session, ...params], origin: { address: '' } });
  if (!answer.ok) throw new Error(answer.error.join(' '));
  return answer;
}

describe.each(encodings)('%s', (_name, encoding, plain) => {
  test.each([
    ['VM.get_all_records', []],
    ['network.get_all_records', []],
    ['VDI.get_all_records', []],
    ['VM.get_all', []],
    ['pool.get_all_records', []],
    ['event.from', [['*'], '', 0]],
  ])('%s is what it is without keeping texts, the first time and again', async (method, params) => {
    for (let i = 0; i < 2; i++) {
      const { type, value } = await answered(method, ...params);
      expect(encoding.value(type, value)).toBe(plain(toWireType(type), value));
    }
  });

  test('a record that changed is written anew, alone, among others and in events', async () => {
    const [vm = ''] = xapi.db.refs('VM');
    const record = await answered('VM.get_record', vm);
    const before = encoding.value(record.type, record.value);
    xapi.db.updateAny('VM', vm, { name_label: `changed ${_name}` });
    const after = await answered('VM.get_record', vm);
    const text = encoding.value(after.type, after.value);
    expect(text).toContain(`changed ${_name}`);
    expect(text).not.toBe(before);
    for (const [method, params] of [
      ['VM.get_all_records', []],
      ['event.from', [['vm'], '', 0]],
    ] as const) {
      const all = await answered(method, ...params);
      expect(encoding.value(all.type, all.value)).toContain(text);
    }
  });

  test('what is not of its type is refused', () => {
    expect(() => encoding.value(parseDataType('record(VM)'), 'text')).toThrow();
    expect(() => encoding.value(parseDataType('map(ref(VM),record(VM))'), { a: 7 })).toThrow();
  });
});
