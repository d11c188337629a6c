import fc from 'fast-check';
import { expect, test } from 'vitest';
import { XapiError } from '../errors.ts';
import { normalLocation, overlap } from './sr-location.ts';

test.each([
  ['/srv/disks', '/srv/disks'],
  ['/srv/disks/', '/srv/disks'],
  ['//srv///disks//', '/srv/disks'],
  [`/srv/it's "odd"; $(reboot) \\, 🧀`, `/srv/it's "odd"; $(reboot) \\, 🧀`],
  ['/...', '/...'],
])('%s is %s', (given, expected) => {
  expect(normalLocation(given)).toBe(expected);
});

test.each([
  '',
  '/',
  '//',
  'srv/disks',
  './srv',
  '/srv/../etc',
  '/srv/.',
  '/..',
  '/srv\0',
  '/srv\ndisks',
  '/srv\u007f',
  '/srv\u0085',
  '/srv/\ud800',
  `/${'x'.repeat(4000)}`,
])('%j is no place for a repository', (given) => {
  expect(() => normalLocation(given)).toThrow(/^INVALID_VALUE\(device_config:location/);
});

test('whatever comes is refused as INVALID_VALUE, or has one spelling', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webPath(), fc.string({ unit: fc.constantFrom('/', '.', 'a') })), (text) => {
      let normal: string;
      try {
        normal = normalLocation(text);
      } catch (error) {
        expect(error).toBeInstanceOf(XapiError);
        return;
      }
      expect(normalLocation(normal)).toBe(normal);
      expect(normal).toMatch(/^\/[^/]/);
    }),
  );
});

test('directories overlap when one is the other or holds it: as the files in them say', () => {
  const part = fc.constantFrom('a', 'b', 'ab');
  const directory = fc.array(part, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(directory, directory, (a, b) => {
      const shorter = Math.min(a.length, b.length);
      const expected = a.slice(0, shorter).join('/') === b.slice(0, shorter).join('/');
      expect(overlap(`/${a.join('/')}`, `/${b.join('/')}`)).toBe(expected);
    }),
  );
});
