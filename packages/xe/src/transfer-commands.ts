/** Commands that move files over paths of the server, beside its calls (PROTOCOL.md §8). */
import { ApiError } from './call.ts';
import type { Command, CommandContext, ServerPath } from './command.ts';
import { bool } from './command-words.ts';
import { refByUuid } from './select.ts';
import { onVm } from './vm-choice.ts';
import { textOf } from './wire-text.ts';

/** Those of keys that are given, as the path's own parameters. */
const given = ({ values }: CommandContext, names: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(names).flatMap(([key, name]) => {
      const value = values.get(key);
      return value === undefined ? [] : [[name, value]];
    }),
  );

/** Fetches what a path gives into a file, as a task. */
export const exportTo = (context: CommandContext, path: ServerPath, file: string): Promise<string> =>
  context.transfer(context.name, (task) =>
    context.exchange.download({ ...path, query: { ...path.query, task_id: task } }, file),
  );

/** Gives a file to a path, as a task. Answers what the task gave. */
export const importFrom = (context: CommandContext, path: ServerPath, file: string): Promise<string> =>
  context.transfer(context.name, (task) =>
    context.exchange.upload({ ...path, query: { ...path.query, task_id: task } }, file),
  );

const exportKeys = ['compress', 'metadata', 'excluded-device-types'] as const;

/** Writes a VM, a template or a snapshot to a file. */
async function exportVm(context: CommandContext, ref: string, uuid: string): Promise<void> {
  const query = {
    ref,
    uuid,
    ...given(context, {
      compress: 'use_compression',
      'preserve-power-state': 'preserve_power_state',
      'excluded-device-types': 'excluded_device_types',
      'include-snapshots': 'export_snapshots',
    }),
  };
  const path = bool(context, 'metadata', false) ? '/export_metadata' : '/export';
  await exportTo(context, { path, query }, context.required('filename'));
  context.print('Export succeeded');
}

/** A template or a snapshot, by the key that has its uuid. */
const exportByUuid = (name: string, help: string, key: string, more: readonly string[]): Command => ({
  name,
  help,
  required: ['filename', key],
  optional: [...more, ...exportKeys],
  async run(context) {
    const uuid = context.required(key);
    await exportVm(context, await refByUuid(context.rpc, 'VM', uuid), uuid);
  },
});

/** What XAPI takes in besides files of its own kind. */
const elsewhere = ['host-username', 'host-password', 'type', 'remote-config', 'url'];

async function importVms(context: CommandContext): Promise<void> {
  const { rpc, values, options } = context;
  if (elsewhere.some((key) => values.has(key))) throw new ApiError(['NOT_IMPLEMENTED', 'an import from another host']);
  if (bool(context, 'metadata', false) || bool(context, 'dry-run', false)) {
    throw new ApiError(['NOT_IMPLEMENTED', 'PUT /import_metadata']);
  }
  const sr = values.get('sr-uuid');
  const query = {
    restore: String(bool(context, 'preserve', false)),
    force: String(options.force || bool(context, 'force', false)),
    ...(sr === undefined ? {} : { sr_id: await refByUuid(rpc, 'SR', sr) }),
  };
  const result = await importFrom(context, { path: '/import', query }, context.required('filename'));
  const uuids: string[] = [];
  for (const [ref] of result.matchAll(/OpaqueRef:[^<]*/g)) uuids.push(textOf(await rpc.call('VM.get_uuid', ref)));
  context.print(uuids.join(','));
}

export const transferCommands: readonly Command[] = [
  {
    name: 'vm-import',
    help: 'makes a VM of a file and prints its uuid',
    required: [],
    optional: ['filename', 'preserve', 'sr-uuid', 'force', 'dry-run', 'metadata', 'vdi:', ...elsewhere],
    run: importVms,
  },
  onVm(
    'export',
    'writes a VM to a file',
    { required: ['filename'], optional: ['preserve-power-state', 'include-snapshots', ...exportKeys], templates: true },
    (context, { ref, record }) => exportVm(context, ref, textOf(record['uuid'])),
  ),
  exportByUuid('template-export', 'writes a template to a file', 'template-uuid', []),
  exportByUuid('snapshot-export-to-template', 'writes a snapshot to a file, as a template', 'snapshot-uuid', [
    'preserve-power-state',
  ]),
  {
    name: 'vdi-import',
    help: 'fills a disk from a file',
    required: ['uuid', 'filename'],
    optional: ['format', 'progress'],
    async run(context) {
      const vdi = await refByUuid(context.rpc, 'VDI', context.required('uuid'));
      const query = { vdi, ...given(context, { format: 'format' }) };
      await importFrom(context, { path: '/import_raw_vdi', query }, context.required('filename'));
    },
  },
  {
    name: 'vdi-export',
    help: 'writes a disk to a file',
    required: ['uuid', 'filename'],
    optional: ['format', 'base', 'progress'],
    async run(context) {
      const vdi = await refByUuid(context.rpc, 'VDI', context.required('uuid'));
      const query = { vdi, ...given(context, { format: 'format', base: 'base' }) };
      await exportTo(context, { path: '/export_raw_vdi', query }, context.required('filename'));
    },
  },
  {
    name: 'blob-get',
    help: 'writes a blob to a file',
    required: ['uuid', 'filename'],
    optional: [],
    async run({ rpc, exchange, required, print }) {
      const ref = await refByUuid(rpc, 'blob', required('uuid'));
      await exchange.download({ path: '/blob', query: { ref } }, required('filename'));
      print('Blob get succeeded');
    },
  },
  {
    name: 'blob-put',
    help: 'fills a blob from a file',
    required: ['uuid', 'filename'],
    optional: [],
    async run({ rpc, exchange, required, print }) {
      const ref = await refByUuid(rpc, 'blob', required('uuid'));
      await exchange.upload({ path: '/blob', query: { ref } }, required('filename'));
      print('Blob put succeeded');
    },
  },
  {
    name: 'audit-log-get',
    help: 'writes the audit log to a file',
    required: ['filename'],
    optional: ['since'],
    async run(context) {
      const query = given(context, { since: 'since' });
      await context.exchange.download({ path: '/audit_log', query }, context.required('filename'));
    },
  },
];
