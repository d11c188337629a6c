/** Commands that move files over the server's own paths, which it does not have. */
import { ApiError } from './call.ts';
import type { Command } from './command.ts';

/** What needs a stream of the server's own that it does not have: the path, and what the command would do. */
const streamed: readonly (readonly [name: string, help: string, path: string, required: string, optional: string])[] = [
  ['pool-dump-database', 'writes the database to a file', 'GET /pool/xmldbdump', 'file-name', ''],
  ['pool-restore-database', 'reads the database from a file', 'PUT /pool/xmldbdump', 'file-name', 'dry-run'],
  [
    'pool-retrieve-wlb-report',
    'writes a report of workload balancing to a file',
    'GET /wlb_report',
    'report',
    'filename',
  ],
  [
    'pool-retrieve-wlb-diagnostics',
    'writes the log of workload balancing to a file',
    'GET /wlb_diagnostics',
    '',
    'filename',
  ],
  ['pool-sync-bundle', 'gives the pool a bundle of updates', 'PUT /bundle', 'filename', ''],
  ['host-backup', 'writes a host’s system to a file', 'GET /host_backup', 'file-name', ''],
  ['host-restore', 'reads a host’s system from a file', 'PUT /host_restore', 'file-name', ''],
  ['host-logs-download', 'writes a host’s logs to a file', 'GET /host_logs_download', '', 'file-name'],
  [
    'host-get-system-status',
    'writes a host’s status report to a file',
    'GET /system-status',
    'filename',
    'entries output',
  ],
  ['patch-upload', 'gives the pool a patch', 'PUT /pool_patch_upload', 'file-name', ''],
  ['update-upload', 'gives the pool an update', 'pool_update.introduce', 'file-name', 'sr-uuid'],
  ['vm-recover', 'takes a VM from the storage of another pool', 'VM.recover', 'uuid', 'database: force'],
  [
    'vm-assert-can-be-recovered',
    'says whether a VM of another pool could be taken',
    'VM.assert_can_be_recovered',
    'uuid',
    'database:',
  ],
  [
    'appliance-recover',
    'takes an appliance from the storage of another pool',
    'VM_appliance.recover',
    'uuid',
    'database: force',
  ],
  [
    'appliance-assert-can-be-recovered',
    'says whether an appliance of another pool could be taken',
    'VM_appliance.assert_can_be_recovered',
    'uuid',
    'database:',
  ],
];

const wordsOf = (words: string): readonly string[] => words.split(' ').filter((word) => word !== '');
/** Who may choose by fields too. */
const chosenBy: Readonly<Record<string, string>> = {
  'host-backup': 'host',
  'host-restore': 'host',
  'host-logs-download': 'host',
  'host-get-system-status': 'host',
};

/** Commands that answer NOT_IMPLEMENTED with the path, or the call, that the server lacks. */
export const streamedCommands: readonly Command[] = streamed.map(([name, help, path, required, optional]) => ({
  name,
  help: `${help} (the server has no ${path})`,
  required: wordsOf(required),
  optional: wordsOf(optional),
  ...(chosenBy[name] === undefined ? {} : { selects: chosenBy[name] }),
  run: () => Promise.reject(new ApiError(['NOT_IMPLEMENTED', path])),
}));
