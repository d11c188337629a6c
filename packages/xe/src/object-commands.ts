/** Commands about hosts, networks, messages, tasks and the rest. */
import { numaPicture } from './numa-picture.ts';
import { numaText } from './numa-text.ts';
import type { WireStruct, WireValue } from '@xenolith/wire';
import type { Command, CommandContext } from './command.ts';
import { bool, byUuid, printUuid, text, thePool, unplug, whole } from './command-words.ts';
import { formatMinimal, formatRecord, printable } from './format.ts';
import { objectNamed } from './objects.ts';
import { fetchRelated, loadKind, matches, readFilters } from './records.ts';
import { forEachRow, refByUuid, selectRows } from './select.ts';
import { UsageError } from './usage-error.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';

/** The XenAPI's form of a moment; those of one form are in the order of their text. */
const dateForm = /^\d{8}T\d\d:\d\d:\d\dZ$/;

/** A command that is one call on each host that is chosen. */
const onHost = (name: string, method: string, help: string): Command => ({
  name,
  help,
  required: [],
  optional: [],
  selects: 'host',
  async run(context) {
    await forEachRow(await selectRows(context, 'host', []), async (host) => {
      await context.rpc.call(method, host.ref);
    });
  },
});

async function addHost(context: CommandContext): Promise<void> {
  const options = Object.fromEntries([...context.values].filter(([key]) => key !== 'address'));
  const host = await context.task('host.add', context.required('address'), options);
  await printUuid(context, 'host', host);
}

async function createVif(context: CommandContext): Promise<void> {
  const { rpc } = context;
  const vif = await rpc.call('VIF.create', {
    VM: await refByUuid(rpc, 'VM', context.required('vm-uuid')),
    network: await refByUuid(rpc, 'network', context.required('network-uuid')),
    device: context.required('device'),
    MAC: text(context, 'mac') === 'random' ? '' : text(context, 'mac'),
    MTU: 1500,
    other_config: {},
    qos_algorithm_type: '',
    qos_algorithm_params: {},
  });
  await printUuid(context, 'VIF', vif);
}

async function createNetwork(context: CommandContext): Promise<void> {
  const network = await context.rpc.call('network.create', {
    name_label: context.required('name-label'),
    name_description: text(context, 'name-description'),
    MTU: whole(text(context, 'MTU', '1500'), 'MTU'),
    bridge: text(context, 'bridge'),
    managed: bool(context, 'managed', true),
    tags: [],
    other_config: {},
  });
  await printUuid(context, 'network', network);
}

/** Waits until an object of the class meets the conditions. */
async function waitForEvent(context: CommandContext): Promise<void> {
  const object = objectNamed(context.required('class'));
  if (object === undefined) throw new UsageError(`there are no ${context.required('class')} objects`);
  const kind = await loadKind(object);
  const filters = readFilters(
    kind,
    [...context.values].filter(([key]) => key !== 'class'),
  );
  const seen = new Map<string, WireStruct>();
  for (let token = ''; ;) {
    const batch = await context.rpc.call('event.from', [object.className], token, 30);
    if (!isStruct(batch)) throw new Error('event.from answered no batch');
    token = textOf(batch['token']);
    for (const event of isArray(batch['events']) ? batch['events'] : []) {
      if (!isStruct(event)) continue;
      const record = event['snapshot'];
      if (isStruct(record)) seen.set(textOf(event['ref']), record);
      else seen.delete(textOf(event['ref']));
    }
    const rows = [...seen].map(([ref, record]) => ({ ref, record }));
    const related = await fetchRelated(
      context.rpc,
      rows,
      filters.map(({ column }) => column),
    );
    if (rows.some((row) => filters.every((filter) => matches(row, filter, related)))) return;
  }
}

/** The kinds of objects that a message can be about, and the keys that name them. */
const messageTargets: Readonly<Record<string, readonly [className: string, cls: string]>> = {
  'vm-uuid': ['VM', 'VM'],
  'host-uuid': ['host', 'Host'],
  'sr-uuid': ['SR', 'SR'],
  'pool-uuid': ['pool', 'Pool'],
};

async function createMessage(context: CommandContext): Promise<void> {
  const given = Object.keys(messageTargets).filter((key) => context.values.has(key));
  const [key] = given;
  const [, cls] = messageTargets[key ?? ''] ?? [];
  if (key === undefined || cls === undefined || given.length > 1) {
    throw new UsageError(`about what? Give one of ${Object.keys(messageTargets).join('=, ')}=`);
  }
  const message = await context.rpc.call(
    'message.create',
    context.required('name'),
    whole(context.required('priority'), 'priority'),
    cls,
    context.required(key),
    context.required('body'),
  );
  // A message has no calls for its single fields.
  const record = await context.rpc.call('message.get_record', message);
  context.print(isStruct(record) ? textOf(record['uuid']) : '');
}

async function destroyMessages(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const uuids = [values.get('uuid'), ...(values.get('uuids') ?? '').split(',')].filter(
    (uuid): uuid is string => uuid !== undefined && uuid !== '',
  );
  if (uuids.length === 0) throw new UsageError('message-destroy needs uuid= or uuids=');
  await rpc.call('message.destroy_many', await Promise.all(uuids.map((uuid) => refByUuid(rpc, 'message', uuid))));
}

/** Messages of before, of after and of a priority; of all kinds when nothing is said. */
async function destroyAllMessages(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const [before, after, priority] = ['before', 'after', 'priority'].map((key) => values.get(key));
  for (const [key, moment] of [
    ['before', before],
    ['after', after],
  ] as const) {
    if (moment !== undefined && !dateForm.test(moment)) {
      throw new UsageError(`${key}=${moment}: expected a time such as 20260131T12:00:00Z`);
    }
  }
  const wanted = priority === undefined ? undefined : String(whole(priority, 'priority'));
  const all = await rpc.call('message.get_all_records');
  const refs = Object.entries(isStruct(all) ? all : {}).filter(([, record]) => {
    if (!isStruct(record)) return false;
    const moment = textOf(record['timestamp']);
    return (
      (before === undefined || moment < before) &&
      (after === undefined || moment > after) &&
      (wanted === undefined || textOf(record['priority']) === wanted)
    );
  });
  await rpc.call(
    'message.destroy_many',
    refs.map(([ref]) => ref),
  );
}

/** The host of `uuid=`, or the coordinator. */
async function hostOrMaster(context: CommandContext): Promise<WireValue> {
  const uuid = context.values.get('uuid');
  return uuid === undefined
    ? await context.rpc.call('pool.get_master', await thePool(context))
    : await refByUuid(context.rpc, 'host', uuid);
}

async function showNuma(context: CommandContext): Promise<void> {
  const { rpc, options } = context;
  const picture = await numaPicture({ rpc, ref: textOf(await hostOrMaster(context)) });
  if (options.json) context.give(picture);
  else context.write(numaText(picture));
}

async function showCpu(context: CommandContext): Promise<void> {
  const { rpc, options } = context;
  const host = await hostOrMaster(context);
  const info = await rpc.call('host.get_cpu_info', host);
  const cells = Object.entries(isStruct(info) ? info : {}).map(([name, value]) => ({
    name,
    tag: 'RO',
    value: textOf(value),
  }));
  if (options.json) context.give(info);
  else if (options.minimal) context.print(formatMinimal(cells.map(({ value }) => value)).trimEnd());
  else
    context.write(
      formatRecord(context.outIsTerminal ? cells.map((cell) => ({ ...cell, value: printable(cell.value) })) : cells),
    );
}

async function listSubjects(context: CommandContext): Promise<void> {
  const found = await context.rpc.call('session.get_all_subject_identifiers');
  const subjects = (isArray(found) ? found : []).map(textOf);
  if (context.options.json) context.give(subjects);
  else if (context.options.minimal) context.print(subjects.join(','));
  else for (const subject of subjects) context.print(subject);
}

async function logoutSubjects(context: CommandContext, subjects: readonly WireValue[]): Promise<void> {
  for (const subject of subjects) await context.rpc.call('session.logout_subject_identifier', subject);
}

async function changePassword(context: CommandContext): Promise<void> {
  await context.rpc.call('session.change_password', text(context, 'old'), context.required('new'));
}

async function openConsole(context: CommandContext): Promise<void> {
  const [vm, other] = await selectRows(context, 'vm', []);
  if (vm === undefined || other !== undefined) throw new UsageError('which VM?');
  await context.exchange.attach(vm.ref);
}

export const objectCommands: readonly Command[] = [
  {
    name: 'host-add',
    help: 'adds a host to the pool: address=ssh://root@HOST identity-file=… known-hosts-file=…',
    required: ['address'],
    optional: ['identity-file', 'known-hosts-file'],
    anyKey: true,
    run: addHost,
  },
  byUuid('host-forget', 'host.forget', 'removes a host from the pool; nothing is touched on the host itself'),
  onHost('host-enable', 'host.enable', 'lets VMs start on it again'),
  {
    name: 'vif-create',
    help: 'gives a VM an interface on a network and prints its uuid',
    required: ['device', 'network-uuid', 'vm-uuid'],
    optional: ['mac'],
    run: createVif,
  },
  byUuid('vif-destroy', 'VIF.destroy', 'takes an interface from a VM'),
  byUuid('vif-plug', 'VIF.plug', 'gives an interface to a running guest'),
  unplug('vif-unplug', 'VIF', 'takes an interface from a running guest; force=true does not wait for it'),
  {
    name: 'network-create',
    help: 'makes a network and prints its uuid',
    required: ['name-label'],
    optional: ['name-description', 'MTU', 'bridge', 'managed'],
    run: createNetwork,
  },
  byUuid('network-destroy', 'network.destroy', 'destroys a network'),
  {
    name: 'message-create',
    help: 'writes a message about an object and prints its uuid',
    required: ['name', 'priority', 'body'],
    optional: Object.keys(messageTargets),
    run: createMessage,
  },
  {
    name: 'message-destroy',
    help: 'removes messages: uuid= or uuids=UUID,…',
    required: [],
    optional: ['uuid', 'uuids'],
    run: destroyMessages,
  },
  {
    name: 'message-destroy-all',
    help: 'removes all messages, or those before=TIME, after=TIME and of a priority=',
    required: [],
    optional: ['before', 'after', 'priority'],
    run: destroyAllMessages,
  },
  {
    name: 'secret-create',
    help: 'keeps a secret and prints its uuid',
    required: ['value'],
    optional: [],
    async run(context) {
      const value = { value: context.required('value'), other_config: {} };
      await printUuid(context, 'secret', await context.rpc.call('secret.create', value));
    },
  },
  byUuid('secret-destroy', 'secret.destroy', 'forgets a secret'),
  {
    name: 'pool-sync-database',
    help: 'has the database written where it is to last',
    required: [],
    optional: [],
    async run(context) {
      await context.task('pool.sync_database');
    },
  },
  {
    name: 'host-cpu-info',
    help: 'shows the CPUs of a host, of the coordinator when no uuid is given',
    required: [],
    optional: ['uuid'],
    run: showCpu,
  },
  {
    name: 'host-numa-info',
    help: 'shows the NUMA nodes of a host, of the coordinator when no uuid is given, and which domain has what where',
    required: [],
    optional: ['uuid'],
    run: showNuma,
  },
  {
    name: 'session-subject-identifier-list',
    help: 'lists the external users that are logged in',
    required: [],
    optional: [],
    run: listSubjects,
  },
  {
    name: 'session-subject-identifier-logout',
    help: 'ends the sessions of an external user',
    required: ['subject-identifier'],
    optional: [],
    run: (context) => logoutSubjects(context, [context.required('subject-identifier')]),
  },
  {
    name: 'session-subject-identifier-logout-all',
    help: 'ends the sessions of all external users',
    required: [],
    optional: [],
    async run(context) {
      const found = await context.rpc.call('session.get_all_subject_identifiers');
      await logoutSubjects(context, isArray(found) ? found : []);
    },
  },
  byUuid('task-cancel', 'task.cancel', 'asks a task to stop'),
  byUuid('task-destroy', 'task.destroy', 'forgets a task'),
  {
    name: 'event-wait',
    help: 'waits until an object is as said: class=vm name-label=… power-state=running',
    required: ['class'],
    optional: [],
    anyKey: true,
    run: waitForEvent,
  },
  {
    name: 'user-password-change',
    help: 'changes the password of who is logged in',
    required: ['new'],
    optional: ['old'],
    run: changePassword,
  },
  {
    name: 'console',
    help: 'attaches to the text console of a VM; Ctrl-] ends',
    required: [],
    optional: [],
    selects: 'vm',
    run: openConsole,
  },
];
