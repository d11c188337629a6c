/**
 * A history of a pool, drawn from a seed: calls of clients, hosts that die and come back, networks that are cut, a manager
 * that is restarted or killed in the midst of a call, commands on hosts that fail, and what happens behind the manager's
 * back. Everything is in this process and under a manual clock, so a seed has one history.
 */
import { domId, present, SeededRandom, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { HostError, type RecordOf } from '@xenolith/xapi';
import { modelOperations, type ModelHost } from '../model/model-host.ts';
import { ModelPool } from './model-pool.ts';
import { brokenInvariants } from './pool-invariants.ts';
import { PoolMirror } from './pool-mirror.ts';

export interface History {
  /** One line for each thing that happened, with its outcome. */
  readonly lines: readonly string[];
  /** What was broken, after which line. */
  readonly broken: readonly string[];
  /** The records at the end, as text. */
  readonly records: string;
}

/** A command that fails on a host has no code of its own in XenAPI. */
const failureWords = /^was told to fail$/;

const hostCount = 2;
const stepCount = 24;
const vmsMax = 5;
/** Whatever was under way has come to its end by then: libxl's patience with a guest is five minutes. */
const calmMs = 400_000;
const calmStepMs = 20_000;

/** Sizes of VMs: with three of the largest a host is full. */
const memories = [64, 256, 1000].map((mib) => mib * 1024 * 1024);

type State = RecordOf<'VM'>['power_state'];
const [halted, running, paused, suspended]: readonly State[] = ['Halted', 'Running', 'Paused', 'Suspended'];

/** Calls on a VM, what they need beside it, and the states that they are mostly tried in. `host` is one of the hosts. */
const vmCalls: readonly (readonly [string, readonly WireValue[], readonly (State | undefined)[]])[] = [
  ['VM.start', [false, false], [halted]],
  ['VM.start', [true, false], [halted]],
  ['VM.start_on', ['host', false, false], [halted]],
  ['VM.start_on', ['host', false, false], [halted]],
  ['VM.pause', [], [running]],
  ['VM.unpause', [], [paused]],
  ['VM.unpause', [], [paused]],
  ['VM.suspend', [], [running]],
  ['VM.suspend', [], [running]],
  ['VM.resume', [false, false], [suspended]],
  ['VM.resume_on', ['host', false, false], [suspended]],
  ['VM.resume_on', ['host', false, false], [suspended]],
  ['VM.clean_shutdown', [], [running]],
  ['VM.hard_shutdown', [], [running, paused, suspended]],
  ['VM.clean_reboot', [], [running]],
  ['VM.hard_reboot', [], [running, paused]],
  ['VM.pool_migrate', ['host', {}], [running]],
  ['VM.destroy', [], [halted, suspended]],
];

/** What happens beside plain calls; each is as likely as it is often here. */
const incidents = [
  'time passes',
  'time passes',
  'cut',
  'mend',
  'mend',
  'power',
  'fail',
  'fail',
  'crash',
  'xl destroy',
  'restart',
  'kill',
  'at once',
  'VDI.destroy',
] as const;

/** Runs the history of a seed. */
export async function poolHistory(seed: number, steps = stepCount): Promise<History> {
  return await new HistoryRun(seed).run(steps);
}

class HistoryRun {
  readonly #random: SeededRandom;
  readonly #lines: string[] = [];
  readonly #broken: string[] = [];
  readonly #mirror = new PoolMirror();
  /** What clients were told is written: a value of `other_config`, by VM. */
  readonly #written = new Map<Ref<'VM'>, string>();
  #pool!: ModelPool;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  async run(steps: number): Promise<History> {
    this.#pool = await ModelPool.open(hostCount);
    await this.#newVm();
    for (let step = 0; step < steps; step++) {
      await this.#step();
      await this.#look(false);
    }
    await this.#calm();
    const records = JSON.stringify([...this.#pool.db.allAny('VM'), ...this.#pool.db.allAny('VDI')]);
    return { lines: this.#lines, broken: this.#broken, records };
  }

  #draw(below: number): number {
    return this.#random.nextUint32() % below;
  }

  #pick<T>(items: readonly T[]): T {
    return present(items[this.#draw(items.length)], 'something to pick from');
  }

  #machine(): ModelHost {
    return this.#pool.machine(1 + this.#draw(hostCount));
  }

  #say(line: string): void {
    this.#lines.push(line);
  }

  #isBroken(what: string): void {
    this.#broken.push(`after ${this.#lines.length} (${this.#lines.at(-1)}): ${what}`);
  }

  #vms(): readonly Ref<'VM'>[] {
    return this.#pool.guests().map(([ref]) => ref);
  }

  async #step(): Promise<void> {
    const chance = this.#draw(10);
    const vms = this.#vms();
    if (vms.length === 0 || (chance === 0 && vms.length < vmsMax)) await this.#newVm();
    else if (chance < 6) await this.#call(...this.#vmCall());
    else if (chance === 6) await this.#write(this.#pick(vms));
    else await this.#incident(this.#pick(incidents));
  }

  /** A call on one of the VMs; five of six times one that its state lets through. */
  #vmCall(): readonly [string, readonly WireValue[]] {
    const vm = this.#pick(this.#vms());
    const { power_state } = this.#pool.vm(vm);
    const fitting = vmCalls.filter(([, , states]) => states.includes(power_state));
    const [method, args] = this.#pick(this.#draw(6) === 0 ? vmCalls : fitting);
    const given = args.map((arg) => (arg === 'host' ? this.#pool.host(1 + this.#draw(hostCount)) : arg));
    return [method, [vm, ...given]];
  }

  /** A call to its end. What it is refused for is part of the history; a mistake of ours is what is looked for. */
  async #call(method: string, params: readonly WireValue[]): Promise<unknown> {
    const answer = await this.#pool.answer(method, ...params);
    const name = this.#nameOf(params[0]);
    if (answer === undefined) this.#say(`${method} ${name}: no answer`);
    else if (answer.ok) this.#say(`${method} ${name}: done`);
    else {
      this.#say(`${method} ${name}: ${answer.error.join(' ')}`);
      if (answer.error[0] === 'INTERNAL_ERROR' && !failureWords.test(answer.error[1] ?? ''))
        this.#isBroken(answer.error.join(' '));
    }
    return answer?.ok === true ? answer.value : undefined;
  }

  #nameOf(ref: WireValue | undefined): string {
    return this.#pool.db.find('VM', ref as Ref<'VM'>)?.name_label ?? '';
  }

  async #newVm(): Promise<void> {
    const template = [...this.#pool.db.all('VM')].find(([, vm]) => vm.is_default_template)?.[0] ?? '';
    const name = `vm${this.#lines.length}`;
    const vm = (await this.#call('VM.clone', [template, name])) as Ref<'VM'> | undefined;
    if (vm === undefined) return;
    await this.#call('VM.provision', [vm]);
    if (!this.#pool.db.has('VM', vm)) return this.#isBroken(`${name} was made, and is not there`);
    await this.#call('VM.set_memory', [vm, this.#pick(memories)]);
    if (this.#draw(2) === 0) await this.#newDisk(vm);
    await this.#write(vm);
  }

  /** A disk in the repository of one of the hosts: its VM runs there alone. */
  async #newDisk(vm: Ref<'VM'>): Promise<void> {
    const sr = this.#pick(this.#pool.db.refs('SR'));
    const vdi = await this.#call('VDI.create', [
      {
        name_label: `disk ${this.#lines.length}`,
        SR: sr,
        virtual_size: 1024 * 1024 * 1024,
        type: 'user',
        sharable: false,
        read_only: false,
        other_config: {},
      },
    ]);
    if (vdi === undefined || !this.#pool.db.has('VM', vm)) return;
    const place = { userdevice: 'autodetect', bootable: false, mode: 'RW', type: 'Disk', empty: false };
    const rest = { other_config: {}, qos_algorithm_type: '', qos_algorithm_params: {} };
    await this.#call('VBD.create', [{ VM: vm, VDI: vdi as string, ...place, ...rest }]);
  }

  /** Refused while a VM uses it. */
  async #destroyDisk(): Promise<void> {
    const vdis = [...this.#pool.db.all('VDI')].filter(([, { type }]) => type === 'user').map(([ref]) => ref);
    if (vdis.length > 0) await this.#call('VDI.destroy', [this.#pick(vdis)]);
  }

  /** A write that outlasts everything once it is acknowledged. */
  async #write(vm: Ref<'VM'>): Promise<void> {
    const value = String(this.#lines.length);
    await this.#pool.answer('VM.remove_from_other_config', vm, 'history');
    const answer = await this.#pool.answer('VM.add_to_other_config', vm, 'history', value);
    this.#say(`write ${this.#nameOf(vm)}: ${answer?.ok === true ? value : 'refused'}`);
    if (answer?.ok === true) this.#written.set(vm, value);
  }

  async #incident(what: (typeof incidents)[number]): Promise<void> {
    const pool = this.#pool;
    const machine = this.#machine();
    const { hostname } = machine.shape;
    switch (what) {
      case 'time passes': {
        const passMs = 1 + this.#draw(20_000);
        this.#say(`${passMs} ms pass`);
        return await pool.pass(passMs);
      }
      case 'cut':
      case 'mend':
        this.#say(`${what} ${hostname}`);
        return machine.setReachable(what === 'mend');
      case 'power':
        this.#say(`power of ${hostname}`);
        return machine.reset();
      case 'fail': {
        const operation = this.#pick(modelOperations);
        this.#say(`next ${operation} on ${hostname} fails`);
        return machine.failNext(operation, new HostError('command-failed', 'was told to fail'));
      }
      case 'crash':
      case 'xl destroy':
        return this.#behindTheBack(machine, what);
      case 'restart':
        return await this.#restart('restart');
      case 'VDI.destroy':
        return await this.#destroyDisk();
      case 'kill':
        return await this.#kill();
      default:
        return await this.#atOnce();
    }
  }

  #behindTheBack(machine: ModelHost, what: 'crash' | 'xl destroy'): void {
    const domains = machine.hypervisor.domains().filter(({ domid }) => domid !== domId(0));
    if (domains.length === 0) return this.#say(`${what} on ${machine.shape.hostname}: nothing runs`);
    const { domid, spec } = this.#pick(domains);
    this.#say(`${what} on ${machine.shape.hostname}: ${spec.name}`);
    if (what === 'crash') machine.crash(domid);
    else machine.destroy(domid);
  }

  /** Two calls at the same time, on the same VM or on two. */
  async #atOnce(): Promise<void> {
    if (this.#vms().length === 0) return;
    const calls = [this.#vmCall(), this.#vmCall()];
    this.#say(`at once: ${calls.map(([method]) => method).join(', ')}`);
    await Promise.all(calls.map(([method, params]) => this.#call(method, params)));
  }

  /** The manager is killed at one of the steps of a call, and started again. */
  async #kill(): Promise<void> {
    if (this.#vms().length === 0) return;
    const [method, params] = this.#vmCall();
    this.#pool.fuse.light(this.#draw(12));
    await this.#call(method, params);
    await this.#restart('killed');
  }

  async #restart(why: string): Promise<void> {
    this.#say(why);
    await this.#pool.reopen();
    await this.#look(true);
  }

  async #look(afterRestart: boolean): Promise<void> {
    const pool = this.#pool;
    await pool.settle();
    const told = await this.#mirror.hear(pool, afterRestart);
    for (const wrong of [...brokenInvariants(pool), ...told, ...this.#lostWrites()]) this.#isBroken(wrong);
  }

  #lostWrites(): readonly string[] {
    const lost: string[] = [];
    for (const [vm, value] of this.#written) {
      const record = this.#pool.db.find('VM', vm);
      // A VM that is gone was destroyed by a call, whose answer may have been lost.
      if (record === undefined) this.#written.delete(vm);
      else if (record.other_config['history'] !== value) {
        const now = record.other_config['history'];
        lost.push(`${record.name_label} was told ${value} and has ${now}`);
      }
    }
    return lost;
  }

  /** Everything is mended and comes to its end: then records and hosts agree, and events have told all of it. */
  async #calm(): Promise<void> {
    const pool = this.#pool;
    this.#say('calm');
    for (const machine of pool.machines.values()) {
      for (const operation of modelOperations) {
        try {
          machine.takeFailure(operation);
        } catch {
          // That was its purpose.
        }
      }
    }
    for (const machine of pool.machines.values()) machine.setReachable(true);
    for (let passedMs = 0; passedMs < calmMs; passedMs += calmStepMs) {
      await pool.pass(calmStepMs);
      if (pool.disagreements().length === 0) break;
    }
    await this.#look(false);
    for (const wrong of [...pool.disagreements(), ...this.#mirror.differences(pool)]) this.#isBroken(wrong);
  }
}
