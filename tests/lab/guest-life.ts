/** A guest with a disk and a network card, and what a client must be told by events at every step of its life. */
import { expect } from 'vitest';
import type { Xapi as Client } from 'xen-api';
import { distinct, EventJournal, followsPath, type HeardEvent } from './event-journal.ts';

export interface Step {
  readonly operation: string;
  /** After the VM's own reference. */
  readonly args?: readonly unknown[];
  readonly from: string;
  readonly to: string;
}

const hasDomain = (state: string): boolean => state === 'Running' || state === 'Paused';

const noQos = { qos_algorithm_type: '', qos_algorithm_params: {}, other_config: {} };

export class GuestLife {
  readonly vm: string;
  readonly #client: Client;
  readonly #journal: EventJournal;
  readonly #vdi: string;

  private constructor(client: Client, journal: EventJournal, vm: string, vdi: string) {
    this.#client = client;
    this.#journal = journal;
    this.vm = vm;
    this.#vdi = vdi;
  }

  /** Makes the guest of a template, with what a newcomer gives it. */
  static async begin(client: Client, template: string, name: string): Promise<GuestLife> {
    const journal = await EventJournal.begin(client, ['VM', 'task', 'VBD', 'VIF', 'VM_metrics', 'console']);
    const vm = String(await client.callAsync('VM.clone', template, name));
    await journal.heard(0, (event) => event.operation === 'add' && event.ref === vm);
    await client.callAsync('VM.provision', vm);
    // A crash must show, not be mended behind our back.
    await client.call('VM.set_actions_after_crash', vm, 'preserve');
    await journal.heard(0, ({ ref, snapshot }) => ref === vm && snapshot['is_a_template'] === false);
    const [network] = await client.getAllRecords('network');
    const [sr] = await client.getAllRecords('SR');
    const vdi = String(
      await client.call('VDI.create', {
        name_label: 'disk',
        SR: sr?.$ref,
        virtual_size: 16 * 1024 * 1024,
        type: 'user',
        sharable: false,
        read_only: false,
        other_config: {},
      }),
    );
    const disk = { VDI: vdi, userdevice: '0', bootable: false, mode: 'RW', type: 'Disk', empty: false };
    await client.call('VBD.create', { VM: vm, ...disk, ...noQos });
    await client.call('VIF.create', { VM: vm, network: network?.$ref, device: '0', MAC: '', MTU: 1500, ...noQos });
    return new GuestLife(client, journal, vm, vdi);
  }

  /** Takes the step as a task, and holds what was told of it until the task's end to what a client relies on. */
  async does(step: Step): Promise<void> {
    const mark = this.#journal.length;
    const before = await this.#client.getRecord('VM', this.vm);
    const started = await this.#client.getField('VM_metrics', String(before['metrics']), 'start_time');
    const task = String(await this.#client.call(`Async.VM.${step.operation}`, this.vm, ...(step.args ?? [])));
    await this.#client.watchTask(task);
    const isEnd = ({ ref, snapshot }: HeardEvent): boolean => ref === task && snapshot['status'] === 'success';
    await this.#journal.heard(mark, isEnd);
    const events = this.#journal.since(mark);
    const endBatch = events.find(isEnd)?.batch ?? 0;
    const told = events.filter(({ batch }) => batch <= endBatch);
    checkTask(told, task, step);
    this.#checkVm(told, task, step, String(before['domid']));
    this.#checkDevices(told, step);
    this.#checkConsole(told, step);
    await this.#checkMetrics(told, step, JSON.stringify(started));
  }

  /** Destroys the VM and its disk: what belonged to it is told to be gone. */
  async ends(): Promise<void> {
    const mark = this.#journal.length;
    const { VBDs, VIFs, metrics } = await this.#client.getRecord('VM', this.vm);
    await this.#client.callAsync('VM.destroy', this.vm);
    for (const ref of [this.vm, ...(VBDs as string[]), ...(VIFs as string[]), String(metrics)]) {
      await this.#journal.heard(mark, (event) => event.operation === 'del' && event.ref === ref);
    }
    await this.#client.call('VDI.destroy', this.#vdi);
  }

  async consoleLocation(): Promise<string> {
    const console = (await this.#client.getAllRecords('console')).find(({ VM }) => VM === this.vm);
    expect(console?.['protocol']).toBe('vt100');
    return String(console?.['location']);
  }

  close(): Promise<void> {
    return this.#journal.stop();
  }

  #checkVm(told: readonly HeardEvent[], task: string, { operation, from, to }: Step, domid: string): void {
    const mods = told.filter(({ ref }) => ref === this.vm);
    expect(new Set(mods.map((event) => event.operation)), operation).toEqual(new Set(['mod']));
    const running = mods.map(({ snapshot }) => snapshot['current_operations'] as Readonly<Record<string, string>>);
    // The key is the task: by it a client finds who is at it.
    for (const operations of running) expect([{}, { [task]: operation }], operation).toContainEqual(operations);
    const seen = distinct(
      mods.map(({ snapshot }, index) => {
        const is = String(snapshot['domid']) === domid ? 'old' : 'new';
        return `${String(snapshot['power_state'])} ${Object.values(running[index] ?? {}).join()} ${is} domain`;
      }),
    );
    const domain = operation === 'pause' || operation === 'unpause' ? 'old domain' : 'new domain';
    const path = [
      `${from}  old domain`,
      `${from} ${operation} old domain`,
      `${to} ${operation} ${domain}`,
      `${to}  ${domain}`,
    ];
    expect(followsPath(seen, path), `${operation}: ${seen.join(' → ')}`).toBe(true);
    // Building or ending a domain takes longer than a batch is waited for; stopping one need not.
    if (domain === 'new domain') expect(seen, operation).toContain(path[1]);
  }

  #checkDevices(told: readonly HeardEvent[], { operation, from, to }: Step): void {
    for (const name of ['vbd', 'vif']) {
      const mods = told.filter((event) => event.class === name && event.snapshot['VM'] === this.vm);
      const seen = distinct(mods.map(({ snapshot }) => String(snapshot['currently_attached'])));
      const path = distinct([String(hasDomain(from)), String(hasDomain(to))]);
      const changes = path.length > 1;
      if (changes || seen.length > 0)
        expect(followsPath(seen, path), `${operation}: ${name} ${seen.join()}`).toBe(true);
    }
  }

  #checkConsole(told: readonly HeardEvent[], { operation, from, to }: Step): void {
    // A console that is gone has no snapshot any more; only this VM's come and go here.
    const seen = told.filter((event) => event.class === 'console').map((event) => event.operation);
    const [was, is] = [hasDomain(from), hasDomain(to)];
    expect(seen, operation).toEqual(was === is ? [] : [is ? 'add' : 'del']);
  }

  async #checkMetrics(told: readonly HeardEvent[], { operation, from, to }: Step, started: string): Promise<void> {
    const ref = await this.#client.getField('VM', this.vm, 'metrics');
    const last = told.findLast((event) => event.ref === ref)?.snapshot;
    const begins = operation === 'clean_reboot' || (!hasDomain(from) && hasDomain(to));
    if (begins) expect(JSON.stringify(last?.['start_time']), operation).not.toBe(started);
    if (hasDomain(to)) return;
    // Nothing is told when nothing changed: a domain that ended at once may have been in no picture yet.
    const metrics = last ?? (await this.#client.getRecord('VM_metrics', String(ref)));
    expect(Number(metrics['memory_actual']), operation).toBe(0);
  }
}

function checkTask(told: readonly HeardEvent[], task: string, { operation }: Step): void {
  const events = told.filter(({ ref }) => ref === task);
  expect(events[0]?.operation, operation).toBe('add');
  expect(events[0]?.snapshot['name_label']).toBe(`Async.VM.${operation}`);
  const seen = distinct(events.map(({ snapshot }) => String(snapshot['status'])));
  expect(followsPath(seen, ['pending', 'success']), `${operation}: ${seen.join()}`).toBe(true);
  expect(Number(events.at(-1)?.snapshot['progress']), operation).toBe(1);
}
