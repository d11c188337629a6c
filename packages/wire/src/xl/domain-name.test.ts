import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { xlDomainName } from './domain-name.ts';

const uuid = '930c6acf-e7a8-4cb5-a9af-617328058e48';

describe('xlDomainName', () => {
  test.each([
    ['web', 'web'],
    ['web_1.example+a-b', 'web_1.example+a-b'],
    ['x'.repeat(64), 'x'.repeat(64)],
    ['x'.repeat(65), `${'x'.repeat(55)}-930c6acf`],
    ['', 'vm-930c6acf'],
    ['12', '12-930c6acf'],
    ['Domain-0', 'Domain-0-930c6acf'],
    ['domain-0', 'domain-0-930c6acf'],
    ['my web server', 'my-web-server-930c6acf'],
    ['"; reboot', 'reboot-930c6acf'],
    ['-c', 'c-930c6acf'],
    ['../../etc/passwd', 'etc-passwd-930c6acf'],
    ['a\nb', 'a-b-930c6acf'],
    ['Büro', 'Buro-930c6acf'],
    ['日本', 'vm-930c6acf'],
    ['web-930c6acf', 'web-930c6acf-930c6acf'],
    ['web--incoming', 'web--incoming-930c6acf'],
    ['web-dm', 'web-dm-930c6acf'],
  ])('%j', (label, name) => {
    expect(xlDomainName(label, uuid)).toBe(name);
  });

  test('a label that is not unique', () => {
    expect(xlDomainName('web', uuid, false)).toBe('web-930c6acf');
  });

  test('any label gives a good name, and two VMs of one name have one uuid prefix', () => {
    const label = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a', 'a-00000000', 'a b', 'a-b'));
    const uuids = fc.uuid();
    fc.assert(
      fc.property(label, uuids, label, uuids, (labelA, uuidA, labelB, uuidB) => {
        const a = xlDomainName(labelA, uuidA, labelA !== labelB);
        const b = xlDomainName(labelB, uuidB, labelA !== labelB);
        expect(a).toMatch(/^(?!\d+$)[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$/);
        if (uuidA.slice(0, 8) !== uuidB.slice(0, 8)) expect(a).not.toBe(b);
      }),
      { numRuns: 1000 },
    );
  });
});
