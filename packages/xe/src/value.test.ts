import type { WireValue } from '@xenolith/wire';
import { expect, test } from 'vitest';
import type { Rpc } from './call.ts';
import { parseValue } from './value.ts';

/** Answers what it was asked, so that it shows which call was made. */
const echo: Rpc = {
  call: (method, ...params) => Promise.resolve([method, ...params]),
};

test.each<readonly [string, string, WireValue]>([
  ['string', 'a,b', 'a,b'],
  ['int', '-5', -5],
  ['int', '9223372036854775807', '9223372036854775807'],
  ['int', '512MiB', 536_870_912],
  ['float', '0.5', 0.5],
  ['bool', 'yes', true],
  ['enum(on_normal_exit)', 'DESTROY', 'destroy'],
  ['enum(vm_power_state)', 'running', 'Running'],
  ['set(string)', 'a,b', ['a', 'b']],
  ['set(string)', '', []],
  ['ref(SR)', '', 'OpaqueRef:NULL'],
  ['ref(SR)', 'x', ['SR.get_by_uuid', 'x']],
  ['datetime', '20260101T00:00:00Z', '20260101T00:00:00Z'],
])('%s %s', async (type, text, value) => {
  expect(await parseValue(echo, type, text, 'k')).toEqual(value);
});

test.each([
  ['int', '1.5'],
  ['int', ''],
  ['float', 'x'],
  ['float', ' '],
  ['bool', 'x'],
  ['enum(on_normal_exit)', 'x'],
  ['map(string,string)', 'x'],
])('%s %j is refused', async (type, text) => {
  await expect(parseValue(echo, type, text, 'k')).rejects.toThrow(/^k/);
});
