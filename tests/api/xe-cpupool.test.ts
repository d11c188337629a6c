/** The `xe cpupool-…` commands against a host with cpupools that is modelled. */
import { beforeEach, expect, test } from 'vitest';
import { parseXeArguments } from '../../packages/cli/src/xe/arguments.ts';
import { ApiError, explain, findCommand, textOf, type Rpc } from '@xenolith/xe';
import { startNumaModel, type NumaModel } from './numa-model.ts';

let model: NumaModel;
let rpc: Rpc;
let vm: string;

beforeEach(async () => {
  model = await startNumaModel();
  ({ rpc } = model);
  vm = textOf(await rpc.call('VM.get_uuid', await model.newVm('web')));
});

/** Where the machine has the domain. */
const place = (): string => {
  const [, domain] = model.machine.hypervisor.domains();
  if (domain === undefined) throw new Error('no guest');
  return model.machine.cpupools.cpupoolOf(domain.domid);
};

/** What a command prints. */
async function xe(...argv: readonly string[]): Promise<string> {
  const { command: name = '', options, values } = parseXeArguments(argv, {});
  const command = await findCommand(name);
  if (command === undefined) throw new Error(`no command ${name}`);
  let printed = '';
  const nothing = (): Promise<never> => Promise.reject(new Error('there is nothing but the pool'));
  await command.run({
    name,
    rpc,
    options,
    values,
    required: (key) => values.get(key) ?? '',
    print: (line) => (printed += `${line}\n`),
    give: () => undefined,
    write: (text) => (printed += text),
    outIsTerminal: false,
    exchange: { readFile: nothing, upload: nothing, download: nothing, attach: nothing },
    task: async (method, ...params) => textOf(await rpc.call(method, ...params)),
    transfer: nothing,
  });
  return printed.trimEnd();
}

test('a pool from its making to its end', async () => {
  const first = await xe('cpupool-list', 'name-label=Pool-0', '--minimal');
  await xe('cpupool-cpu-remove', `uuid=${first}`, 'cpus=5-7');
  expect(await xe('host-cpu-list', 'cpupool=', 'params=number', '--minimal')).toBe('');
  const made = await xe('cpupool-create', 'name-label=fast', 'scheduler=credit', 'cpus=6-7', 'parameters:tslice_ms=5');
  const shown = await xe('cpupool-list', 'name-label=fast');
  expect(shown).toBe(
    [
      `uuid ( RO)               : ${made}`,
      '         name-label ( RW): fast',
      '    host-name-label ( RO): model',
      '          scheduler ( RO): credit',
      '        cpu-numbers ( RO): 6; 7',
    ].join('\n'),
  );
  await xe('cpupool-cpu-add', `uuid=${made}`, 'cpus=5');
  await xe('cpupool-param-set', `uuid=${made}`, 'name-label=faster', 'parameters:ratelimit_us=500');
  expect(await xe('cpupool-param-get', `uuid=${made}`, 'param-name=parameters')).toBe(
    'tslice_ms: 5; ratelimit_us: 500; migration_delay_us: 0',
  );
  expect(model.machine.cpupools.list()[1]).toMatchObject({ name: 'faster', pcpus: [5, 6, 7] });
  await xe('vm-param-set', `uuid=${vm}`, `cpupool=${made}`);
  await xe('vm-start', 'vm=web');
  expect(place()).toBe('faster');
  expect(await xe('vm-list', 'cpupool-name-label=faster', 'params=name-label', '--minimal')).toBe('web');
  await xe('cpupool-vm-move', `uuid=${first}`, 'vm=web');
  expect(place()).toBe('Pool-0');
  await xe('cpupool-destroy', `uuid=${made}`);
  expect(model.machine.cpupools.list()).toHaveLength(1);
});

test('one of each node', async () => {
  const uuids = (await xe('cpupool-numa-split')).split('\n');
  expect(uuids).toHaveLength(2);
  expect(await xe('cpupool-param-get', `uuid=${uuids[1]}`, 'param-name=name-label')).toBe('Pool-node1');
});

test('what Xen refuses is said in its words', async () => {
  const refused: unknown = await xe('cpupool-numa-split')
    .then(() => xe('cpupool-numa-split'))
    .catch((error: unknown) => error);
  if (!(refused instanceof ApiError)) throw new Error('no refusal');
  expect(await explain(refused)).toMatch(
    /^splitting not possible, already cpupools in use\nError code: XEN_REFUSED\nobject: OpaqueRef:\S+\nerrno: EBUSY\nwords: splitting/,
  );
  await expect(xe('cpupool-create', 'name-label=x', 'cpus=99')).rejects.toThrow('the host has no CPU 99');
  await expect(xe('cpupool-create', 'name-label=x', 'cpus=a')).rejects.toThrow('expected CPUs');
});
