import { ref } from '@xenolith/base';
import { expect, test } from 'vitest';
import { attachRefusal, type AttachSituation } from './attach.ts';

const disk = ref<'VDI'>('OpaqueRef:disk');

function situation(vdi: Partial<AttachSituation['vdi']>, changes: Partial<AttachSituation> = {}): AttachSituation {
  return {
    ref: disk,
    vdi: {
      managed: true,
      missing: false,
      sharable: false,
      read_only: false,
      current_operations: {},
      SR: ref<'SR'>('OpaqueRef:sr'),
      type: 'user',
      ...vdi,
    },
    writes: true,
    others: [],
    ...changes,
  };
}

const [writer, reader] = [{ writes: true }, { writes: false }];

test.each<readonly [string, AttachSituation, string | undefined]>([
  ['a free disk', situation({}), undefined],
  ['a second writer', situation({}, { others: [writer] }), 'VDI_IN_USE(OpaqueRef:disk, attach)'],
  ['a writer beside a reader', situation({}, { others: [reader] }), 'VDI_IN_USE(OpaqueRef:disk, attach)'],
  [
    'a reader beside a writer',
    situation({}, { writes: false, others: [writer] }),
    'VDI_IN_USE(OpaqueRef:disk, attach)',
  ],
  ['readers together', situation({}, { writes: false, others: [reader, reader] }), undefined],
  ['writers of a sharable disk', situation({ sharable: true }, { others: [writer, reader] }), undefined],
  ['a writer of what can only be read', situation({ read_only: true }), 'VDI_READONLY(OpaqueRef:disk)'],
  ['a reader of what can only be read', situation({ read_only: true }, { writes: false }), undefined],
  ['a disk that is not whole', situation({ managed: false }), 'VDI_NOT_MANAGED(OpaqueRef:disk)'],
  ['a disk whose file is gone', situation({ missing: true }), 'VDI_MISSING(OpaqueRef:sr, OpaqueRef:disk)'],
  ['the memory of a VM', situation({ type: 'suspend' }), 'VDI_INCOMPATIBLE_TYPE(OpaqueRef:disk, suspend)'],
  ['a writer while its figures are read', situation({ current_operations: { task: 'update' } }), undefined],
  ['a reader while it is copied', situation({ current_operations: { task: 'copy' } }, { writes: false }), undefined],
  ...(['clone', 'copy', 'resize', 'destroy', 'forget'] as const).map(
    (operation) =>
      [
        `a writer during ${operation}`,
        situation({ current_operations: { task: operation } }),
        `OTHER_OPERATION_IN_PROGRESS(VDI, OpaqueRef:disk, ${operation}, task)`,
      ] as const,
  ),
  ...(['resize', 'destroy', 'forget'] as const).map(
    (operation) =>
      [
        `a reader during ${operation}`,
        situation({ current_operations: { task: operation } }, { writes: false }),
        `OTHER_OPERATION_IN_PROGRESS(VDI, OpaqueRef:disk, ${operation}, task)`,
      ] as const,
  ),
])('%s', (_name, given, expected) => {
  expect(attachRefusal(given)?.message).toBe(expected);
});
