import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XapiError } from '../errors.ts';
import { parseProvision, type ProvisionDisk } from './provision-xml.ts';

const disk = '<disk device="0" size="1024" sr="x" bootable="true" type="system"/>';

describe('what is read', () => {
  test.each<readonly [string, readonly ProvisionDisk[]]>([
    ['', []],
    [' \n', []],
    ['<provision/>', []],
    ['<provision />', []],
    ['<provision></provision>', []],
    [`<provision>${disk}</provision>`, [{ device: '0', sizeBytes: 1024, sr: 'x', bootable: true, type: 'system' }]],
    [
      `\n<provision>\n <disk type='user' size='1' device='15' />\n <disk size="2" device="1"></disk></provision>\n`,
      [
        { device: '15', sizeBytes: 1, sr: '', bootable: false, type: 'user' },
        { device: '1', sizeBytes: 2, sr: '', bootable: false, type: 'user' },
      ],
    ],
  ])('%j', (text, expected) => {
    expect(parseProvision(text)).toEqual(expected);
  });
});

describe('what is refused', () => {
  const one = (attributes: string): string => `<provision><disk ${attributes}/></provision>`;
  test.each([
    'nonsense',
    '<provision>',
    disk,
    `<provision>${disk}`,
    `<provision>${disk}</provision><provision/>`,
    '<provision>text</provision>',
    '<provision><disk device="0" size="1"></provision>',
    '<provision><disc device="0" size="1"/></provision>',
    one('size="1"'),
    one('device="0"'),
    one('device="0" size="0"'),
    one('device="0" size="-1"'),
    one('device="0" size="1.5"'),
    one('device="0" size="1e400"'),
    one('device="0" size="9007199254740992"'),
    one('device="0" size=""'),
    one('device="xvda" size="1"'),
    one('device="100" size="1"'),
    one('device="26" size="1"'),
    one('device="01" size="1"'),
    one('device="0" size="0x10"'),
    one('device="0" size=" 1"'),
    one('device="0" size="1" type="suspend"'),
    one('device="0" size="1" bootable="yes"'),
    one('device="0" size="1" sr="&lt;"'),
    one('device="0" size="1" sr=x'),
    one('device="0" size="1" device="1"'),
    one('device="0" size="1" colour="blue"'),
    `<provision>${disk}${disk}</provision>`,
    `<provision>${Array.from({ length: 27 }, (_, index) => one(`device="${index}" size="1"`)).join('')}</provision>`,
    `<provision>${' '.repeat(20_000)}</provision>`,
  ])('%j', (text) => {
    expect(() => parseProvision(text)).toThrow(/^INVALID_VALUE\(other_config:disks/);
  });
});

const quoted = fc.string().filter((text) => !/["<&]/.test(text));
const disks = fc.uniqueArray(
  fc.record({
    device: fc.integer({ min: 0, max: 25 }).map(String),
    sizeBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    sr: quoted,
    bootable: fc.boolean(),
    type: fc.constantFrom('system' as const, 'user' as const),
  }),
  { selector: ({ device }) => device, maxLength: 26 },
);

test('what is written is read again', () => {
  fc.assert(
    fc.property(disks, fc.constantFrom('', ' ', '\n\t'), (wanted, blank) => {
      const text = wanted.map(
        ({ device, sizeBytes, sr, bootable, type }) =>
          `${blank}<disk device="${device}" size="${sizeBytes}" sr="${sr}" bootable="${bootable}" type="${type}"${blank}/>`,
      );
      const whole = `<provision>${text.join('')}${blank}</provision>`;
      fc.pre(whole.length <= 16_384);
      expect(parseProvision(whole)).toEqual(wanted);
    }),
  );
});

test('whatever comes is read or refused', () => {
  const scraps = fc.constantFrom(
    '<provision>',
    '</provision>',
    '<disk',
    '/>',
    '>',
    ' size="1"',
    ' device="0"',
    '"',
    ' ',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(scraps).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (given) => {
      try {
        parseProvision(given);
      } catch (error) {
        expect(error).toBeInstanceOf(XapiError);
      }
    }),
  );
});
