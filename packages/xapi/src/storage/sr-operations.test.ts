import { ref } from '@xenolith/base';
import { expect, test } from 'vitest';
import { XapiError } from '../errors.ts';
import { srOperationRefusal, srRules, type SrOperation, type SrSituation } from './sr-operations.ts';

const sr = ref<'SR'>('OpaqueRef:sr');
const operations = Object.keys(srRules) as SrOperation[];
const noPbds = new XapiError('SR_HAS_NO_PBDS', sr);
const offline = new XapiError('HOST_OFFLINE', 'OpaqueRef:host');

function situation(changes: Partial<SrSituation> = {}): SrSituation {
  return {
    ref: sr,
    sr: { type: 'file', current_operations: {} },
    attached: true,
    isEmpty: true,
    heldDisk: undefined,
    srRefusal: undefined,
    ...changes,
  };
}

const allowed = (changes: Partial<SrSituation>): readonly string[] =>
  operations.filter((operation) => srOperationRefusal(situation(changes), operation) === undefined);

const files = [
  'scan',
  'update',
  'vdi_create',
  'vdi_introduce',
  'vdi_clone',
  'vdi_copy',
  'vdi_snapshot',
  'vdi_resize',
  'vdi_destroy',
];
const records = ['vdi_forget', 'pbd_create', 'plug'];

test.each<readonly [string, Partial<SrSituation>, readonly string[]]>([
  ['attached and idle', {}, [...files, ...records, 'unplug', 'pbd_destroy']],
  [
    'a VM holds a disk of it',
    { heldDisk: ref<'VDI'>('OpaqueRef:disk'), isEmpty: false },
    [...files, ...records, 'pbd_destroy'],
  ],
  ['its host does not answer', { srRefusal: offline }, [...records, 'unplug', 'pbd_destroy']],
  ['attached nowhere', { attached: false, srRefusal: noPbds }, [...records, 'pbd_destroy', 'forget', 'destroy']],
  [
    'attached nowhere, with disks',
    { attached: false, isEmpty: false, srRefusal: noPbds },
    [...records, 'pbd_destroy', 'forget'],
  ],
  [
    'a disk is being made',
    { sr: { type: 'file', current_operations: { task: 'vdi_create' } } },
    [...files, ...records],
  ],
  ['it is being taken away', { sr: { type: 'file', current_operations: { task: 'unplug' } } }, []],
  ['it is of a kind that nobody knows here', { sr: { type: 'lvm', current_operations: {} } }, []],
])('%s', (_name, changes, expected) => {
  expect(allowed(changes)).toEqual(expected);
});

test.each<readonly [SrOperation, Partial<SrSituation>, string]>([
  ['forget', {}, 'SR_HAS_PBD(OpaqueRef:sr)'],
  ['destroy', { attached: false, isEmpty: false }, 'SR_NOT_EMPTY()'],
  ['unplug', { heldDisk: ref<'VDI'>('OpaqueRef:disk') }, 'VDI_IN_USE(OpaqueRef:disk, unplug)'],
  ['vdi_create', { srRefusal: offline }, 'HOST_OFFLINE(OpaqueRef:host)'],
  ['scan', { sr: { type: 'lvm', current_operations: {} } }, 'SR_OPERATION_NOT_SUPPORTED(OpaqueRef:sr)'],
  ['vdi_mirror', {}, 'NOT_IMPLEMENTED(SR.vdi_mirror)'],
  [
    'unplug',
    { sr: { type: 'file', current_operations: { task: 'vdi_copy' } } },
    'OTHER_OPERATION_IN_PROGRESS(SR, OpaqueRef:sr, vdi_copy, task)',
  ],
])('%s is refused with the reason', (operation, changes, expected) => {
  expect(srOperationRefusal(situation(changes), operation)?.message).toBe(expected);
});
