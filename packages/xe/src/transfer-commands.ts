/** Commands that move files over paths of the server, beside its calls (PROTOCOL.md §8). */
import type { Command, CommandContext, ServerPath } from './command.ts';
import { refByUuid } from './select.ts';

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

export const transferCommands: readonly Command[] = [
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
