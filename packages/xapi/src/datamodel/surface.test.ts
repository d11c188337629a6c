import { describe, expect, test } from 'vitest';
import { OpenPool } from '../testing/open-pool.ts';
import { methods } from './registry.ts';
import { personalities, Surface } from './surface.ts';
import type { DataType } from './data-type.ts';

const method = (name: string) => {
  const found = methods().get(name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};

const shownFields = (surface: Surface, className: string): readonly string[] => {
  const type = surface.recordType(className);
  return type.kind === 'record' ? type.members.map(({ name }) => name) : [];
};

describe('what came later is not there', () => {
  test.each<[string, string, string, string, string]>([
    ['a call of the first release', 'VM.start', 'shown', 'shown', 'shown'],
    ['a call by a code name: nile-preview and before', 'pool.rotate_secret', 'shown', 'shown', 'shown'],
    ['a call by a version', 'pool.install_ca_certificate', 'hidden', 'shown', 'shown'],
    ['the calls of a class', 'Observer.get_all', 'hidden', 'shown', 'shown'],
    ['a call after 24.11', 'pool.set_ssh_auto_mode', 'hidden', 'hidden', 'shown'],
    ['the getter of a field', 'host.get_max_cstate', 'hidden', 'hidden', 'shown'],
    ['a call of a class after 24.11', 'Rate_limit.get_all', 'hidden', 'hidden', 'shown'],
    ['a call of ours', 'cpupool.get_all', 'shown', 'shown', 'shown'],
  ])('%s: %s', (_what, name, ...expected) => {
    const seen = personalities.map((personality) =>
      new Surface({ personality }).hidesMethod(method(name)) ? 'hidden' : 'shown',
    );
    expect(seen).toEqual(expected);
  });

  test('every code name and version of the tables is known: each personality has more than the one before', () => {
    const counts = personalities.map((personality) => {
      const surface = new Surface({ personality });
      return [...methods().values()].filter((each) => !surface.hidesMethod(each)).length;
    });
    expect(counts.at(-1)).toBe(methods().size);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(new Set(counts).size).toBe(counts.length);
  });

  test('records have no fields of later, and those of ours stay', () => {
    const [old, current] = [new Surface({ personality: '8.2' }), new Surface()];
    expect(shownFields(current, 'host')).toContain('https_only');
    expect(shownFields(old, 'host')).not.toContain('https_only');
    for (const field of ['uuid', 'name_label', 'software_version', 'cpupools']) {
      expect(shownFields(old, 'host')).toContain(field);
    }
    // Nothing hidden: the very same type, so that kept texts of records are used.
    const type: DataType = method('VM.get_all_records').result;
    expect(current.shown(type)).toBe(type);
  });
});

describe('strict', () => {
  test('is without what is ours: calls, fields and classes', () => {
    const strict = new Surface({ strict: true });
    for (const name of [
      'cpupool.get_all',
      'cpupool.get_record',
      'host.add',
      'VM.get_cpupool',
      'VM.pin_vcpu',
      'user.set_password',
    ]) {
      expect([name, strict.hidesMethod(method(name))]).toEqual([name, true]);
    }
    expect(strict.hidesMethod(method('VM.get_VCPUs_params'))).toBe(false);
    expect(shownFields(strict, 'VM')).not.toContain('cpupool');
    expect([...strict.hiddenClasses]).toEqual(['cpupool']);
  });

  test('has exactly what the tables do not mark as ours', () => {
    const strict = new Surface({ strict: true });
    for (const each of methods().values()) {
      expect([each.fullName, strict.hidesMethod(each)]).toEqual([each.fullName, each.extension]);
    }
  });
});

describe('a pool', () => {
  test('answers as if what is hidden did not exist', async () => {
    const pool = await OpenPool.start({ surface: { personality: '8.2', strict: true } });
    for (const name of ['cpupool.get_all', 'Async.cpupool.create', 'cpupool_get_all', 'Observer.get_all', 'host.add']) {
      expect(await pool.refusal(name)).toEqual(['MESSAGE_METHOD_UNKNOWN', name]);
    }
    const listed = await pool.raw('system.listMethods');
    const names = listed.ok ? (listed.value as readonly string[]) : [];
    expect(names).toContain('VM.start');
    expect(names.filter((name) => /^(cpupool|Observer|Rate_limit)\./.test(name))).toEqual([]);
    expect(await pool.call('host.list_methods')).toEqual(names);
    const answer = await pool.raw('pool.get_all_records', pool.session);
    if (!answer.ok || answer.type.kind !== 'map' || answer.type.value.kind !== 'wire') throw new Error('no records');
    const { wire } = answer.type.value;
    const fields = wire.kind === 'record' ? wire.members.map(({ name }) => name) : [];
    expect(fields).toContain('name_label');
    expect(fields).not.toContain('telemetry_uuid');
    await pool.call('pool.get_all');
  });

  test.each([
    ['8.2', 'VM.snapshot', 2],
    ['8.3', 'VM.snapshot', 3],
    ['8.2', 'host.evacuate', 1],
    ['8.3', 'host.evacuate', 3],
    ['8.3', 'host.disable', 1],
    ['current', 'host.disable', 2],
    ['8.2', 'VDI.copy', 4],
  ] as const)('of %s takes as many parameters as that knew: %s %i', async (personality, name, count) => {
    const pool = await OpenPool.start({ surface: { personality } });
    const most = Array.from({ length: count }, () => 'OpaqueRef:x');
    // Of the right number, they are looked at.
    expect((await pool.refusal(name, ...most))[0]).not.toBe('MESSAGE_PARAMETER_COUNT_MISMATCH');
    expect(await pool.refusal(name, ...most, '')).toEqual([
      'MESSAGE_PARAMETER_COUNT_MISMATCH',
      name,
      String(count),
      String(count + 1),
    ]);
  });

  test('has what came later at the end of the parameters of every call', () => {
    for (const { fullName, params } of methods().values()) {
      const late = params.map(({ since }) => since !== undefined);
      expect([fullName, late]).toEqual([fullName, late.toSorted((a, b) => Number(a) - Number(b))]);
    }
  });

  test('tells no events of a hidden class, nor counts them', async () => {
    for (const [surface, expected] of [
      [{}, true],
      [{ strict: true }, false],
    ] as const) {
      const pool = await OpenPool.start({ surface });
      pool.xapi.db.create('cpupool', {});
      const batch = (await pool.call('event.from', ['*', 'cpupool'], '', 0)) as {
        readonly events: readonly { readonly class: string }[];
        readonly valid_ref_counts: Readonly<Record<string, number>>;
      };
      expect(batch.events.some((event) => event.class === 'cpupool')).toBe(expected);
      expect('cpupool' in batch.valid_ref_counts).toBe(expected);
      expect(batch.events.some((event) => event.class === 'pool')).toBe(true);
    }
  });
});
