/** Memory of running domains by xl: what was recorded of a real host, and the scripts in a real shell with tools made for the test. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytes, domId, fromKib, fromMib, uuid } from '@xenolith/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commandFailure } from './host-script.ts';
import { readStates, XlMemory } from './xl-memory.ts';

/** What was recorded, without the line of its command. */
const recorded = (name: string): string => {
  const text = readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8');
  return text.slice(text.indexOf('\n') + 1);
};
const web = { domid: domId(7), uuid: uuid('930c6acf-e7a8-4cb5-a9af-617328058e48') };

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xl-memory-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const path = (name: string): string => join(directory, name);
const tool = (name: string, text: string): void => writeFileSync(path(name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

/** {@link XlMemory} over a shell that finds the tools of the test first. */
function memory(): { readonly memory: XlMemory; readonly changes: () => number } {
  let changes = 0;
  const port = {
    run: (called: string, text: string) => {
      const PATH = `${directory}:${process.env['PATH'] ?? ''}`;
      const { status, stdout, stderr } = spawnSync('sh', ['-c', text], { encoding: 'utf8', env: { PATH } });
      const result = { exitCode: status ?? -1, stdout, stderr };
      return status === 0 ? Promise.resolve(result) : Promise.reject(commandFailure(called, result));
    },
    changed: () => changes++,
  };
  return { memory: new XlMemory(port), changes: () => changes };
}

describe('what is there', () => {
  const onRecordedHost = (xentop = recorded('guests-xentop')): XlMemory => {
    for (const [name, text] of [
      ['list', recorded('guests-xl-list-v')],
      ['info', recorded('guests-xl-info')],
      ['xentop.txt', xentop],
      ['xenstore', recorded('guests-xenstore-ls-f')],
    ] as const)
      writeFileSync(path(name), text);
    tool('xl', `case "$*" in 'list -v') cat ${path('list')};; info) cat ${path('info')};; *) exit 1;; esac`);
    tool('xentop', `[ "$*" = '-b -f -i 1' ] && cat ${path('xentop.txt')}`);
    tool('xenstore-ls', `[ "$*" = '-f /local/domain' ] && cat ${path('xenstore')}`);
    return memory().memory;
  };
  const pv = { domid: 1, targetBytes: fromKib(131072), maximumBytes: fromKib(131072), hasBalloonDriver: true };

  test('on a real host: to the KiB, with what guests were told', async () => {
    const { domains, freeBytes } = await onRecordedHost().states();
    expect(domains).toMatchObject([
      { domid: 0, actualBytes: fromKib(1048576), targetBytes: fromKib(1048576), maximumBytes: fromKib(1048576) },
      { ...pv, actualBytes: fromKib(131072), hasAgent: false },
      { ...pv, domid: 2, actualBytes: fromKib(131136) },
    ]);
    const free = /^free_memory +: (\d+)$/m.exec(recorded('guests-xl-info'))?.[1];
    expect(freeBytes).toBe(fromMib(Number(free)));
  });

  test('without xentop: to the MiB, and as told where that is the same MiB', async () => {
    for (const nothing of ['', 'something else\n']) {
      const { domains } = await onRecordedHost(nothing).states();
      expect(domains.map(({ actualBytes }) => actualBytes)).toEqual([fromMib(1024), fromMib(128), fromMib(128)]);
    }
  });

  const rows = (...more: readonly string[]): string =>
    [
      'Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label',
      `web                                          7   100     2     -b----       7.6 ${web.uuid}        -                -`,
      ...more,
    ].join('\n');
  const said = (keys: readonly string[], list = rows()): ReturnType<typeof readStates> =>
    readStates(
      `${list}\n\n@xenolith info\n${recorded('guests-xl-info')}\n@xenolith xentop\n\n@xenolith xenstore\n${keys
        .map((key) => `/local/domain/7/${key}\n`)
        .join('')}`,
    );

  test.each<[readonly string[], object]>([
    [[], { targetBytes: fromMib(100), maximumBytes: fromMib(100), hasBalloonDriver: false, hasAgent: false }],
    [['memory/target = "103000"'], { actualBytes: fromKib(103000), hasBalloonDriver: false }],
    [['memory/target = "104500"'], { actualBytes: fromMib(100), targetBytes: fromKib(104500) }],
    [['memory/target = "103000"', 'control/feature-balloon = "1"'], { hasBalloonDriver: true }],
    [['memory/target = "103000"', 'control/feature-balloon = "0"'], { hasBalloonDriver: false }],
    [['memory/target = "103000"', 'control/feature-poweroff = "1"'], { hasBalloonDriver: true }],
    [['memory/target = "103000"', 'control/feature-poweroff = ""'], { hasBalloonDriver: false }],
    [['control/feature-poweroff = "1"'], { hasBalloonDriver: false }],
    [['memory/target = "100000"', 'memory/videoram = "2400"'], { targetBytes: fromKib(102400) }],
    [['memory/target = "100000"', 'memory/videoram = "-1"'], { targetBytes: fromKib(100000) }],
    [['memory/target = "x"', 'memory/static-max = "204800"'], { maximumBytes: fromMib(200), hasBalloonDriver: false }],
    [['data/updated = "Mon"'], { hasAgent: true }],
  ])('keys %j', (keys, state) => {
    expect(said(keys).domains).toMatchObject([state]);
  });

  test('what makes no sense is an error, what is no guest or is going is left out', () => {
    expect(() => readStates('nonsense\n')).toThrow(expect.objectContaining({ code: 'command-failed' }));
    const going = `(null)                                      8     0     1     --ps-d       7.6 11111111-2222-4333-8444-555555555555        -                -`;
    expect(said([], rows(going)).domains).toHaveLength(1);
  });
});

describe('a target', () => {
  /** A host on which xenstore has what files say, and xl sets the target as it likes. */
  function host({ sets = 'echo ${3%k} >target', staticMax = '262144' } = {}): ReturnType<typeof memory> & {
    readonly ran: () => string;
  } {
    for (const [name, text] of [
      ['vm', `/vm/${web.uuid}`],
      ['target', '131072'],
      ['static-max', staticMax],
    ] as const)
      if (text !== '') writeFileSync(path(name), `${text}\n`);
    tool('xenstore-read', `cd ${directory} && cat "\${1##*/}"`);
    tool('xl', `cd ${directory}; case $1 in mem-set) echo "$*" >>ran; ${sets};; *) exit 1;; esac`);
    return { ...memory(), ran: () => (existsSync(path('ran')) ? readFileSync(path('ran'), 'utf8') : '') };
  }

  test('is told in KiB and read back', async () => {
    const { memory: real, ran, changes } = host();
    await real.setTarget(web, fromKib(100001));
    expect(ran()).toBe('mem-set 7 100001k\n');
    expect(readFileSync(path('target'), 'utf8')).toBe('100001\n');
    expect(changes()).toBe(1);
    await real.setTarget(web, bytes(fromKib(100001) + 1));
    expect(ran()).toMatch(/mem-set 7 100002k\n$/);
  });

  test('is believed where xenstore has it without video memory, or has no maximum', async () => {
    writeFileSync(path('videoram'), '4096\n');
    await host({ sets: 'echo 95905 >target', staticMax: '' }).memory.setTarget(web, fromKib(100001));
  });

  test.each<[string, Parameters<typeof host>[0], object]>([
    [
      'that xl did not set',
      { sets: 'true' },
      { code: 'command-failed', message: 'xl mem-set left a target of 131072 KiB' },
    ],
    ['that xl refuses', { sets: 'echo no >&2; exit 1' }, { code: 'command-failed', message: 'no' }],
    [
      'above the maximum',
      { staticMax: '100000' },
      { code: 'bad-config', message: 'domain 7 can have 100000 KiB at most' },
    ],
  ])('%s is a failure', async (_, made, failure) => {
    const { memory: real, changes } = host(made);
    await expect(real.setTarget(web, fromKib(100001))).rejects.toMatchObject(failure);
    expect(changes()).toBe(1);
  });

  test('is not told to another domain, to Domain-0, or when no guest could live with it', async () => {
    const { memory: real, ran } = host();
    tool('xl', `case $1 in list) echo Name;; *) echo "$*" >>${path('ran')};; esac`);
    const other = { ...web, uuid: uuid('11111111-2222-4333-8444-555555555555') };
    const zero = { domid: domId(0), uuid: uuid('00000000-0000-0000-0000-000000000000') };
    await expect(real.setTarget(other, fromMib(128))).rejects.toMatchObject({ code: 'no-such-domain' });
    await expect(real.setTarget(zero, fromMib(128))).rejects.toMatchObject({ code: 'command-failed' });
    await expect(real.setTarget(web, fromMib(31))).rejects.toMatchObject({ code: 'bad-config' });
    expect(ran()).toBe('');
  });
});
