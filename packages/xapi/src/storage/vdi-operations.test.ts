import { ref } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { enums } from '../datamodel/enums.ts';
import { XapiError } from '../errors.ts';
import { vdiRefusal, vdiRules, type VdiOperation, type VdiSituation } from './vdi-operations.ts';

const disk = ref<'VDI'>('OpaqueRef:disk');
const offline = new XapiError('HOST_OFFLINE', 'OpaqueRef:host');
const operations = Object.keys(vdiRules) as VdiOperation[];

type Changes = Partial<Omit<VdiSituation, 'vdi'>> & { readonly vdi?: Partial<VdiSituation['vdi']> };

function situation({ vdi, ...changes }: Changes = {}): VdiSituation {
  return {
    ref: disk,
    vdi: {
      managed: true,
      missing: false,
      type: 'user',
      current_operations: {},
      SR: ref<'SR'>('OpaqueRef:sr'),
      ...vdi,
    },
    uses: [],
    isMemory: false,
    srType: 'file',
    srRefusal: undefined,
    ...changes,
  };
}

const writer = { writes: true, runs: true };
const reader = { writes: false, runs: true };
const suspended = { writes: true, runs: false };

const inUse = (operation: string): string => `VDI_IN_USE(OpaqueRef:disk, ${operation})`;
const busy = (operation: string): string => `OTHER_OPERATION_IN_PROGRESS(VDI, OpaqueRef:disk, ${operation}, task)`;

/** What needs the image is refused; in the order of the table. */
const onImages = (refusal: string): readonly string[] => [refusal, refusal, refusal, '', '', '', refusal];

/** What each operation is refused with, in the order clone, copy, resize, destroy, forget, update, snapshot; '' is accepted. */
const table: readonly (readonly [string, Changes, readonly string[]])[] = [
  ['a free disk', {}, ['', '', '', '', '', '', '']],
  ['one that is not whole', { vdi: { managed: false } }, operations.map(() => 'VDI_NOT_MANAGED(OpaqueRef:disk)')],
  [
    'one that a guest writes',
    { uses: [writer] },
    [...['clone', 'copy', 'resize', 'destroy', 'forget'].map((operation) => inUse(operation)), '', ''],
  ],
  [
    'one that guests read',
    { uses: [reader, reader] },
    ['', '', inUse('resize'), inUse('destroy'), inUse('forget'), '', ''],
  ],
  [
    'one of a suspended VM',
    { uses: [suspended] },
    ['', '', inUse('resize'), inUse('destroy'), inUse('forget'), '', ''],
  ],
  [
    'the memory of a suspended VM',
    { isMemory: true, vdi: { type: 'suspend' } },
    [
      ...['clone', 'copy', 'resize', 'destroy', 'forget'].map((operation) => inUse(operation)),
      '',
      'VDI_INCOMPATIBLE_TYPE(OpaqueRef:disk, suspend)',
    ],
  ],
  ['memory that no VM needs', { vdi: { type: 'suspend' } }, onImages('VDI_INCOMPATIBLE_TYPE(OpaqueRef:disk, suspend)')],
  ['one whose file is gone', { vdi: { missing: true } }, onImages('VDI_MISSING(OpaqueRef:sr, OpaqueRef:disk)')],
  [
    'one on a host that does not answer',
    { srRefusal: offline },
    operations.map((operation) => (operation === 'forget' ? '' : 'HOST_OFFLINE(OpaqueRef:host)')),
  ],
  [
    'one that is being copied',
    { vdi: { current_operations: { task: 'copy' } } },
    ['', '', busy('copy'), busy('copy'), busy('copy'), '', ''],
  ],
  [
    'one that is being destroyed',
    { vdi: { current_operations: { task: 'destroy' } } },
    operations.map(() => busy('destroy')),
  ],
  [
    'one that is being resized',
    { vdi: { current_operations: { task: 'resize' } } },
    operations.map(() => busy('resize')),
  ],
];

test.each(table)('%s', (_name, changes, expected) => {
  const refusals = operations.map((operation) => vdiRefusal(situation(changes), operation)?.message ?? '');
  expect(operations).toEqual(['clone', 'copy', 'resize', 'destroy', 'forget', 'update', 'snapshot']);
  expect(refusals).toEqual(expected);
});

test('an operation that is not there is refused as such', () => {
  for (const operation of enums.vdi_operations) {
    if (!operations.includes(operation)) {
      expect(vdiRefusal(situation(), operation)?.message).toBe(`NOT_IMPLEMENTED(VDI.${operation})`);
    }
  }
});

describe('in every situation', () => {
  const both = [false, true];
  const uses = [[], [writer], [reader], [suspended], [reader, suspended], [reader, writer]];
  const underWay = [undefined, ...operations];
  const all = uses.flatMap((use) =>
    underWay.flatMap((other) =>
      both.flatMap((managed) =>
        both.flatMap((missing) =>
          both.map((isOffline) =>
            situation({
              uses: use,
              srRefusal: isOffline ? offline : undefined,
              vdi: { managed, missing, current_operations: other === undefined ? {} : { task: other } },
            }),
          ),
        ),
      ),
    ),
  );

  test('what changes or ends a disk has it for itself', () => {
    for (const each of all) {
      for (const operation of ['resize', 'destroy', 'forget'] as const) {
        if (vdiRefusal(each, operation) !== undefined) continue;
        expect([each.uses, each.vdi.current_operations, each.vdi.managed]).toEqual([[], {}, true]);
      }
    }
  });

  test('what reads a disk never reads what is written', () => {
    for (const each of all) {
      for (const operation of ['clone', 'copy'] as const) {
        if (vdiRefusal(each, operation) !== undefined) continue;
        expect(each.uses).not.toContainEqual(writer);
        expect(['clone', 'copy', 'snapshot', 'update', undefined]).toContain(
          Object.values(each.vdi.current_operations)[0],
        );
        expect(each.vdi.missing).toBe(false);
      }
    }
  });

  test('without a host only what needs none is left', () => {
    for (const each of all.filter(({ srRefusal }) => srRefusal !== undefined)) {
      expect(operations.filter((operation) => vdiRefusal(each, operation) === undefined)).toEqual(
        vdiRefusal({ ...each, srRefusal: undefined }, 'forget') === undefined ? ['forget'] : [],
      );
    }
  });
});
