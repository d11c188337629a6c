import { readFileSync } from 'node:fs';
import { typicalE820, type E820Map } from '@xenolith/hypervisor';
import { parseKernelMemoryLog, parseMeminfo } from '@xenolith/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bootLoaderAdvice } from './boot-loader.ts';
import { applyRefusal, diagnoseDom0, type Diagnosis, type Finding } from './diagnosis.ts';
import { doctorJson, doctorText, hasAdvice, isSeen, type DoctorReport } from './doctor-report.ts';
import { maximumOf, type Dom0Evidence } from './evidence.ts';

/** The 32 GiB machine that was recorded, as its `xl dmesg` has it. */
const machineMap: E820Map = [
  { startByte: 0, endByte: 0x9fc00, type: 'usable' },
  { startByte: 0x9fc00, endByte: 0x100000, type: 'reserved' },
  { startByte: 0x100000, endByte: 0xbffdd000, type: 'usable' },
  { startByte: 0xbffdd000, endByte: 0xc0000000, type: 'reserved' },
  { startByte: 0xfffc0000, endByte: 0x1_0000_0000, type: 'reserved' },
  { startByte: 0x1_0000_0000, endByte: 0x8_4000_0000, type: 'usable' },
  { startByte: 0xfd_0000_0000, endByte: 0x100_0000_0000, type: 'reserved' },
];

/** What was recorded on real Xen 4.17 and Linux 6.1. */
function recorded(name: string, dom0Mem: string): Dom0Evidence {
  const text = readFileSync(new URL(`../../../../tests/fixtures/xl/dom0mem-${name}.txt`, import.meta.url), 'utf8');
  const balloonKib = (file: string): number => Number(new RegExp(`/${file} (\\d+)`).exec(text)?.[1]);
  const { knownKib = 0, imageKib = 0, releasedPages = 0 } = parseKernelMemoryLog(text);
  return {
    hostname: 'lab1',
    kernel: '6.1.0-56-amd64',
    xenVersion: '4.17.7',
    xenCommandLine: `dom0_mem=${dom0Mem} loglvl=info`,
    dom0Type: 'pv',
    vcpus: 1,
    machineMap,
    machineMib: 32_767,
    initialPages: 524_288,
    maximumKib: maximumOf(/static-max = "(\d+)"/.exec(text)?.[1] ?? '') ?? 0,
    memTotalKib: parseMeminfo(text).get('MemTotal') ?? 0,
    balloon: {
      currentKib: balloonKib('current_kb'),
      targetKib: balloonKib('target_kb'),
      roomKib: balloonKib('low_kb') + balloonKib('high_kb'),
    },
    knownKib,
    imageKib,
    releasedPages,
  };
}

const withoutMax = recorded('dom0_mem_2G', '2G');
const withMax = recorded('dom0_mem_2G_max_2G', '2G,max:2G');

const finding = ({ findings }: Diagnosis, code: Finding['code']): Finding | undefined =>
  findings.find((each) => each.code === code);
const status = (diagnosis: Diagnosis, code: Finding['code']): string | undefined => finding(diagnosis, code)?.status;

/** Evidence without some of it. */
function without(evidence: Dom0Evidence, ...keys: (keyof Dom0Evidence)[]): Dom0Evidence {
  const entries = Object.entries(evidence).filter(([key]) => !keys.some((each) => each === key));
  return { balloon: {}, ...Object.fromEntries(entries) };
}

function report(evidence: Dom0Evidence, options: { readonly memoryKib?: number } = {}): DoctorReport {
  const diagnosis = diagnoseDom0(evidence, options);
  const { recommendation } = diagnosis;
  return {
    evidence,
    diagnosis,
    ...(recommendation === undefined ? {} : { bootLoader: bootLoaderAdvice(evidence, recommendation.dom0Mem) }),
  };
}

describe('recorded: 32 GiB, dom0_mem=2G', () => {
  const diagnosis = diagnoseDom0(withoutMax);

  test('is measured', () => {
    expect(diagnosis.memory).toEqual({
      ownedKib: 2_097_152,
      targetKib: 2_097_152,
      coveredKib: 23_068_284,
      memTotalKib: 1_482_276,
      lostKib: 614_876,
    });
    expect(diagnosis.said).toBe('2G');
  });

  test('dom0_mem=2G,max:2G is advised, and what it promises came true within 12 KiB', () => {
    const { recommendation } = diagnosis;
    expect(recommendation).toMatchObject({ dom0Mem: '2G,max:2G', memoryKib: 2_097_152 });
    expect(Math.abs(recommendation!.memTotalKib! - (withMax.memTotalKib ?? 0))).toBeLessThanOrEqual(12);
    const recoveredKib = (withMax.memTotalKib ?? 0) - (withoutMax.memTotalKib ?? 0);
    expect(Math.abs(recommendation!.recoversKib! - recoveredKib)).toBeLessThanOrEqual(12);
  });

  test('the parts make what is lost, and little of it is not explained', () => {
    const sum = diagnosis.lost.reduce((kib, part) => kib + part.kib, 0);
    expect(sum).toBe(614_876);
    const rest = diagnosis.lost.find(({ kind }) => kind === 'unexplained');
    expect(Math.abs(rest!.kib)).toBeLessThan(4 * 1024);
    expect(rest!.source).toBe('measured');
  });

  test('another size, asked for', () => {
    const { recommendation } = diagnoseDom0(withoutMax, { memoryKib: 3 * 512 * 1024 });
    expect(recommendation).toMatchObject({ dom0Mem: '1536M,max:1536M', memoryKib: 1_572_864 });
    expect(recommendation!.memTotalKib).toBeLessThan(1_572_864);
  });

  test('as text: 80 columns at most, the table, the advice and the line', () => {
    const text = doctorText(report(withoutMax));
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^dom0 of lab1: Xen 4\.17\.7, Linux 6\.1\.0-56-amd64, dom0_mem=2G\n/);
    expect(text).toMatch(/left \(MemTotal\) +#{17} +1448 {2}measured\n/);
    expect(text).toMatch(/struct page +#{4} +355 {2}model\n/);
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      'dom0 has no maximum: Linux keeps tables for 22.0 GiB, and dom0 has 2048 MiB. With dom0_mem=2G,max:2G 446 MiB come back',
    );
    expect(text).toMatch(/by hand: .*\sand\sthere\sis\sno\s\/etc\/default\/grub\):\n\n {4}dom0_mem=2G,max:2G\n/s);
  });

  test('as JSON', () => {
    expect(JSON.parse(doctorJson(report(withoutMax)))).toMatchObject({
      doctor: 'dom0-memory',
      hasAdvice: true,
      dom0: { dom0Mem: '2G', maximumKib: 'unlimited', lostKib: 614_876, xenstoreTargetKib: null },
      recommendation: { dom0Mem: '2G,max:2G', source: 'model' },
      bootLoader: { kind: 'other' },
    });
  });
});

describe('recorded: 32 GiB, dom0_mem=2G,max:2G', () => {
  test('there is nothing to do', () => {
    const diagnosis = diagnoseDom0(withMax);
    expect(diagnosis.findings.map((each) => each.status)).toEqual(['well', 'well']);
    expect(diagnosis.recommendation).toBeUndefined();
    expect([hasAdvice(diagnosis), isSeen(diagnosis)]).toEqual([false, true]);
    expect(doctorText(report(withMax))).toMatch(/\nNothing to do\.\n$/);
  });

  test('nor when it is asked for just that', () => {
    expect(hasAdvice(diagnoseDom0(withMax, { memoryKib: 2_097_152 }))).toBe(false);
  });
});

describe('a maximum above what dom0 has', () => {
  const chosen = (maximumMib: number): Dom0Evidence => ({
    ...withMax,
    xenCommandLine: `dom0_mem=2G,max:${maximumMib}M`,
    maximumKib: maximumMib * 1024,
    balloon: { ...withMax.balloon, roomKib: (maximumMib - 2048) * 1024 },
  });

  test.each([
    [2048, 'well'],
    [4096, 'note'],
    [16_384, 'advice'],
  ])('of %d MiB: %s', (maximumMib, expected) => {
    expect(status(diagnoseDom0(chosen(maximumMib)), 'maximum')).toBe(expected);
  });
});

describe('what else there may be to do', () => {
  test('a part of dom0_mem that Xen cannot read', () => {
    const diagnosis = diagnoseDom0({ ...withoutMax, xenCommandLine: 'dom0_mem=2G,max=2G' });
    expect(finding(diagnosis, 'unreadable')).toMatchObject({
      status: 'advice',
      text: expect.stringContaining('"max=2G" is no amount'),
    });
    expect(diagnosis.recommendation?.dom0Mem).toBe('2G,max:2G');
  });

  test('of several dom0_mem the last of each kind counts', () => {
    const diagnosis = diagnoseDom0({ ...withMax, xenCommandLine: 'dom0_mem=1G,max:2G dom0_mem=2G' });
    expect(hasAdvice(diagnosis)).toBe(false);
  });

  test('a dom0 that was given everything: only its owner knows how much it is to have', () => {
    const everything = {
      ...without(withoutMax, 'knownKib', 'initialPages'),
      xenCommandLine: 'loglvl=info',
      balloon: { currentKib: 33_000_000, targetKib: 33_000_000, roomKib: 0 },
    };
    const diagnosis = diagnoseDom0(everything);
    expect(finding(diagnosis, 'size')).toMatchObject({ status: 'advice' });
    expect(diagnosis.recommendation).toBeUndefined();
    expect(diagnoseDom0(everything, { memoryKib: 2_097_152 }).recommendation?.dom0Mem).toBe('2G,max:2G');
  });

  describe('a dom0 that was ballooned down after its boot', () => {
    const ballooned = (xenCommandLine: string, givenKib: number, nowKib: number): Dom0Evidence => ({
      ...without(withoutMax, 'knownKib'),
      xenCommandLine,
      initialPages: givenKib / 4,
      memTotalKib: nowKib - 60_000,
      balloon: { currentKib: nowKib, targetKib: nowKib, roomKib: 33_000_000 - nowKib },
    });
    const gib = 1024 * 1024;

    test.each(['loglvl=info', 'dom0_mem=min:1G', 'dom0_mem=max=4G'])(
      'from everything, under %j: its size is asked for, and nothing is advised without',
      (xenCommandLine) => {
        const shrunk = ballooned(xenCommandLine, 32_800_000, 512 * 1024);
        const diagnosis = diagnoseDom0(shrunk);
        expect(finding(diagnosis, 'size')).toMatchObject({
          status: 'advice',
          text: "Nothing on Xen's command line says how much memory dom0 is to have: it was given 31.3 GiB, and has 512 MiB now. Say how much with --dom0-memory.",
        });
        expect([diagnosis.recommendation, hasAdvice(diagnosis)]).toEqual([undefined, true]);
        expect(applyRefusal(diagnosis)).toMatch(/nothing says how much memory dom0 is to have: .*--dom0-memory/);
        const asked = diagnoseDom0(shrunk, { memoryKib: 2 * gib });
        expect(asked.recommendation).toMatchObject({ dom0Mem: '2G,max:2G', sizeFrom: 'asked' });
        expect(applyRefusal(asked)).toBeUndefined();
      },
    );

    test.each([undefined, 4 * gib])('from what dom0_mem= says: that is kept; Xen log %s', (initialKib) => {
      const shrunk = ballooned('dom0_mem=4G', 4 * gib, gib);
      const diagnosis = diagnoseDom0(initialKib === undefined ? without(shrunk, 'initialPages') : shrunk);
      const { recommendation } = diagnosis;
      expect(recommendation).toMatchObject({ dom0Mem: '4G,max:4G', sizeFrom: 'dom0_mem' });
      expect(recommendation!.memTotalKib).toBeLessThan(4 * gib - 60_000);
      expect(finding(diagnosis, 'maximum')?.text).toMatch(/and dom0 is to have 4096 MiB\.$/);
      expect(finding(diagnosis, 'target')?.text).toMatch(/was given 4096 MiB .* has 1024 MiB now/);
      expect(applyRefusal(diagnosis)).toBeUndefined();
      expect(doctorText(report(shrunk))).not.toMatch(/dom0_mem=1G/);
    });

    test('with a maximum: there is nothing to do', () => {
      const shrunk = ballooned('dom0_mem=4G,max:4G', 4 * gib, gib);
      const bounded = { ...shrunk, maximumKib: 4 * gib, balloon: { ...shrunk.balloon, roomKib: 3 * gib } };
      const diagnosis = diagnoseDom0(bounded);
      expect(finding(diagnosis, 'maximum')).toMatchObject({ status: 'well', text: expect.stringMatching(/4096 MiB/) });
      expect([diagnosis.recommendation, hasAdvice(diagnosis)]).toEqual([undefined, false]);
    });

    test('MemTotal is never promised to be all of it, whatever was measured', () => {
      const kib = fc.integer({ min: 128 * 1024, max: 32_000_000 });
      const line = fc.constantFrom('dom0_mem=4G', 'loglvl=info', 'dom0_mem=8G,max:16G');
      fc.assert(
        fc.property(line, kib, kib, kib, fc.integer({ min: 128, max: 32_000 }), (text, given, now, total, mib) => {
          const evidence = { ...ballooned(text, given - (given % 4), now), memTotalKib: total };
          for (const options of [{}, { memoryKib: mib * 1024 }]) {
            const { recommendation } = diagnoseDom0(evidence, options);
            if (recommendation?.memTotalKib === undefined) continue;
            expect(recommendation.memTotalKib).toBeLessThan(recommendation.memoryKib);
          }
        }),
      );
    });
  });

  test("where Xen's command line is not known, nothing is written without a size", () => {
    const diagnosis = diagnoseDom0(without(withoutMax, 'xenCommandLine'));
    expect(diagnosis.recommendation).toMatchObject({ dom0Mem: '2G,max:2G', sizeFrom: 'present' });
    expect(applyRefusal(diagnosis)).toMatch(/Xen's command line is not known.*--dom0-memory/);
  });

  const old: Dom0Evidence = {
    kernel: '3.2.102',
    xenVersion: '4.1.2',
    xenCommandLine: 'dom0_mem=4G,max:4G',
    dom0Type: 'pv',
    machineMap: typicalE820(8 * 2 ** 30),
    initialPages: 1_048_576,
    releasedPages: 262_240,
    memTotalKib: 2_900_000,
    balloon: { currentKib: (1_048_576 - 262_240) * 4, targetKib: (1_048_576 - 262_240) * 4, roomKib: 262_240 * 4 },
  };

  test('pages that Linux 3.2 gave back for holes, and the balloon target that gets them again', () => {
    const diagnosis = diagnoseDom0(old);
    expect(finding(diagnosis, 'holes')).toMatchObject({ status: 'advice', command: 'xl mem-set 0 4096' });
    expect(doctorText(report(old))).toContain('Now, in dom0:\n\n    xl mem-set 0 4096\n');
    expect(diagnosis.recommendation).toBeUndefined();
    const back = { ...old, balloon: { currentKib: 4_194_304, targetKib: 4_194_304, roomKib: 0 } };
    expect(status(diagnoseDom0(back), 'holes')).toBe('well');
  });

  test('what is missing for holes counts as what dom0 is to have at the next boot', () => {
    const { currentKib, targetKib } = old.balloon;
    const roomKib = 8 * 1024 * 1024 - (currentKib ?? 0);
    const unbounded = {
      ...old,
      xenCommandLine: 'dom0_mem=4G',
      balloon: { currentKib: currentKib!, targetKib: targetKib!, roomKib },
    };
    expect(diagnoseDom0(unbounded).recommendation?.dom0Mem).toBe('4G,max:4G');
  });

  test('Linux 3.0.4 does not look at a maximum: none is advised', () => {
    const deaf = { ...old, kernel: '3.0.4', xenCommandLine: 'dom0_mem=2G', initialPages: 524_288, releasedPages: 97 };
    const balloon = { currentKib: 2_097_152, targetKib: 2_097_152, roomKib: 6_291_456 - 97 * 4 };
    const diagnosis = diagnoseDom0({ ...deaf, balloon });
    expect(finding(diagnosis, 'maximum')).toMatchObject({ status: 'note', text: expect.stringMatching(/little back/) });
    expect(diagnosis.recommendation).toBeUndefined();
  });

  test('nor what every dom0 lacks of its first MiB', () => {
    const own = 524_288 - 97;
    const small = { ...old, xenCommandLine: 'dom0_mem=2G,max:2G', initialPages: 524_288, releasedPages: 97 };
    const diagnosis = diagnoseDom0({ ...small, balloon: { currentKib: own * 4, targetKib: own * 4, roomKib: 97 * 4 } });
    expect([status(diagnosis, 'holes'), hasAdvice(diagnosis)]).toEqual(['well', false]);
  });

  test('but not what a target took', () => {
    const smaller = { ...old, balloon: { currentKib: 2_097_152, targetKib: 2_097_152, roomKib: 2_097_152 } };
    expect(status(diagnoseDom0(smaller), 'holes')).toBe('well');
  });

  test('a balloon that is not at its target', () => {
    const diagnosis = diagnoseDom0({ ...withMax, balloon: { ...withMax.balloon, targetKib: 4_096_000 } });
    expect(status(diagnosis, 'target')).toBe('note');
    // The maximum is 2 GiB: no more than that is ever reached.
    expect([diagnosis.recommendation, hasAdvice(diagnosis)]).toEqual([undefined, false]);
  });
});

describe('what is not known is said', () => {
  test('a kernel that is not modelled', () => {
    const diagnosis = diagnoseDom0({ ...withoutMax, kernel: '2.6.32-5-xen-amd64' });
    expect(finding(diagnosis, 'model')?.text).toMatch(/2\.6\.32-5-xen-amd64 is not modelled/);
    expect(diagnosis.lost).toEqual([]);
    const { recommendation } = diagnosis;
    expect([recommendation?.dom0Mem, recommendation?.recoversKib]).toEqual(['2G,max:2G', undefined]);
  });

  test('a model that does not fit', () => {
    const diagnosis = diagnoseDom0({ ...withoutMax, balloon: { ...withoutMax.balloon, roomKib: 5_000_000 } });
    expect(finding(diagnosis, 'model')?.text).toMatch(/tables for 22528 MiB, and this kernel has them for 6931 MiB/);
    expect(diagnosis.recommendation?.recoversKib).toBeUndefined();
  });

  test("a machine's map that has left Xen's log", () => {
    const diagnosis = diagnoseDom0(without(withoutMax, 'machineMap'));
    expect(status(diagnosis, 'model')).toBe('note');
    // A section of 128 MiB more or less, whose struct pages take 2 MiB.
    expect(Math.abs(diagnosis.recommendation!.recoversKib! - 456_560)).toBeLessThan(3 * 1024);
  });

  test('an ordinary user sees what sysfs and /proc tell', () => {
    const seen = without(withoutMax, 'xenCommandLine', 'xenVersion', 'machineMap', 'machineMib', 'maximumKib');
    const diagnosis = diagnoseDom0(seen);
    expect(finding(diagnosis, 'maximum')).toMatchObject({
      status: 'advice',
      text: expect.stringMatching(/^dom0's maximum is not known: Linux keeps tables for 22\.0 GiB/),
    });
    expect(finding(diagnosis, 'evidence')?.text).toMatch(/Xen's command line/);
    expect(diagnosis.recommendation?.dom0Mem).toBe('2G,max:2G');
  });

  test('PVH', () => {
    const diagnosis = diagnoseDom0({ ...withoutMax, dom0Type: 'pvh' });
    expect(finding(diagnosis, 'model')?.text).toMatch(/PVH/);
    expect(hasAdvice(diagnosis)).toBe(false);
  });

  test('a kernel that was told to use less', () => {
    const diagnosis = diagnoseDom0({ ...withoutMax, kernelCommandLine: 'console=hvc0 mem=4G quiet' });
    expect(finding(diagnosis, 'model')?.text).toMatch(/mem=4G/);
  });

  test('nothing at all', () => {
    const diagnosis = diagnoseDom0({ balloon: {} });
    expect([isSeen(diagnosis), hasAdvice(diagnosis), diagnosis.said]).toEqual([false, false, null]);
    expect(doctorText(report({ balloon: {} }))).toMatch(/Nothing to do, as far as could be seen\.\n$/);
  });

  test('any part that is missing makes no failure and no worse text', () => {
    const keys = Object.keys(withoutMax) as (keyof Dom0Evidence)[];
    fc.assert(
      fc.property(fc.subarray(keys), fc.constantFrom(withoutMax, withMax), (gone, evidence) => {
        const text = doctorText(report(without(evidence, ...gone)));
        expect(text).not.toMatch(/NaN|undefined|Infinity/);
        expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
      }),
    );
  });
});

describe('the boot loader', () => {
  const files = [{ path: '/etc/default/grub', text: 'GRUB_CMDLINE_XEN_DEFAULT="loglvl=all dom0_mem=2G"\n' }];
  const on = (more: Partial<Dom0Evidence>): DoctorReport => report({ ...withoutMax, ...more });

  test('grub: the line as it will be, and its file', () => {
    const text = doctorText(on({ bootloader: 'GRUB 2.06-13+deb12u1', grub: { files, canUpdate: true } }));
    expect(text).toContain('in /etc/default/grub (--apply writes it, with a backup):\n');
    expect(text).toContain('\n    GRUB_CMDLINE_XEN_DEFAULT="loglvl=all dom0_mem=2G,max:2G"\n');
  });

  test('not known, with grub here: that it is assumed is said, before and after it is written', () => {
    const assumed = on({ grub: { files, canUpdate: true } });
    const said = /not known which boot loader started Xen: .* grub is assumed/;
    expect(doctorText(assumed).replaceAll(/\s+/g, ' ')).toMatch(said);
    const applied = { path: '/etc/default/grub', undo: 'undo' };
    expect(doctorText({ ...assumed, applied }).replaceAll(/\s+/g, ' ')).toMatch(said);
    expect(JSON.parse(doctorJson(assumed))).toMatchObject({ bootLoader: { kind: 'grub', isAssumed: true } });
    const known = on({ bootloader: 'GRUB 2.06', grub: { files, canUpdate: true } });
    expect(doctorText(known)).not.toMatch(/assumed/);
    expect(JSON.parse(doctorJson(known))).toMatchObject({ bootLoader: { kind: 'grub', isAssumed: false } });
  });

  test.each<[string, Partial<Dom0Evidence>]>([
    ['there is no /etc/default/grub', {}],
    [
      'there is no /etc/default/grub',
      { grub: { files: [{ path: '/etc/default/grub.d/a.cfg', text: '' }], canUpdate: true } },
    ],
    ['there is no update-grub, or no /boot/grub/grub.cfg', { grub: { files, canUpdate: false } }],
  ])('not known, and %s: by hand', (reason, more) => {
    expect(on(more).bootLoader).toEqual({
      kind: 'other',
      reason: `it is not known which boot loader started Xen, and ${reason}`,
    });
  });

  test('grub that has it already', () => {
    const done = [{ path: '/etc/default/grub', text: '\nGRUB_CMDLINE_XEN="dom0_mem=2G,max:2G"\n' }];
    const text = doctorText(on({ grub: { files: done, canUpdate: true } }));
    expect(text.replaceAll(/\s+/g, ' ')).toContain('stands in /etc/default/grub, line 2: run update-grub');
  });

  test.each<[string, Partial<Dom0Evidence>, RegExp]>([
    ['another one', { bootloader: 'qemu', grub: { files, canUpdate: true } }, /qemu has loaded Xen, not grub/],
    ['no update-grub', { grub: { files, canUpdate: false } }, /there is no update-grub/],
    [
      'a file of somebody else',
      {
        grub: {
          files: [
            { path: '/etc/default/grub', text: '' },
            { path: '/etc/default/grub.d/a.cfg', text: 'GRUB_CMDLINE_XEN=dom0_mem=2G' },
          ],
          canUpdate: true,
        },
      },
      /by hand: another file sets dom0_mem=2G: \/etc\/default\/grub\.d\/a\.cfg, line 1/,
    ],
  ])('%s: by hand, and why', (_, more, message) => {
    expect(doctorText(on(more)).replaceAll(/\s+/g, ' ')).toMatch(message);
  });
});

test.each([
  ['17179869180', 'unlimited'],
  ['18446744073709551615', 'unlimited'],
  ['2097152', 2_097_152],
  ['-1', undefined],
  ['', undefined],
])('a maximum of %s', (text, expected) => {
  expect(maximumOf(text)).toBe(expected);
});
