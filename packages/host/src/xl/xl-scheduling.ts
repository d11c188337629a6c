import { domId, type PcpuId } from '@xenolith/base';
import {
  addPcpuRefusal,
  createCpupoolRefusal,
  destroyCpupoolRefusal,
  domainParametersRefusal,
  moveDomainRefusal,
  numaSplitPlan,
  numaSplitRefusal,
  pinRefusal,
  poolParametersRefusal,
  removePcpuRefusal,
  renameCpupoolRefusal,
  schedulerMissing,
  unknownPool,
  type CpupoolRefusal,
  type CpupoolsState,
  type SchedulerName,
} from '@xenolith/hypervisor';
import { formatXlBitmap, formatXlCpupool, shellCommand } from '@xenolith/wire';
import {
  HostError,
  type CpupoolInfo,
  type CpupoolParameters,
  type DomainIdentity,
  type DomainInfo,
  type DomainSchedParameters,
  type HostFacts,
  type HostScheduling,
  type VcpuInfo,
} from '@xenolith/xapi';
import { cpupoolRefused } from '../cpupool-refused.ts';
import {
  believing,
  domainScript,
  errnoIn,
  lastWords,
  readSections,
  scriptExit,
  scriptHead,
  section,
  surviveHangup,
} from './host-script.ts';
import {
  readSchedulingState,
  rulesState,
  schedulingScript,
  type SchedulingState,
  type Sight,
} from './scheduling-state.ts';
import { Turnstile } from './turnstile.ts';
import type { XlPort } from './xl-port.ts';

const lookLimitMs = 20_000;
/** A split waits ten seconds for Domain-0's vCPUs to go. */
const workLimitMs = 60_000;

/** An operation of `xl` on the schedulers. */
interface Operation {
  readonly argv: readonly string[];
  /** When it is one on a domain: nothing is done when that is not there. */
  readonly domain?: DomainIdentity;
  /** Said by the shell before the command, which is only run when this succeeds. */
  readonly guard?: string;
  /** Run by the shell after the command, whatever came of it. */
  readonly afterwards?: string;
  /** Whether what the host says afterwards is what was asked for. */
  readonly isDone: (after: SchedulingState) => boolean;
  /** What it means when the host refuses and gives no number. */
  readonly refusal?: CpupoolRefusal;
}

/** What to do, as the host is now; it throws what is refused. */
type Plan = (state: SchedulingState, rules: CpupoolsState) => Operation;

/** {@link HostScheduling} by `xl`. One operation at a time, so that what was checked is still so when it is done. */
export class XlScheduling implements HostScheduling {
  readonly #port: XlPort;
  readonly #turnstile = new Turnstile(1);

  constructor(port: XlPort) {
    this.#port = port;
  }

  async cpupools(): Promise<readonly CpupoolInfo[]> {
    return (await this.#look({ parameters: true })).pools;
  }

  createCpupool(spec: {
    readonly name: string;
    readonly scheduler?: SchedulerName;
    readonly pcpus: readonly PcpuId[];
  }): Promise<readonly CpupoolInfo[]> {
    return this.#changePools(({ pools }, rules) => {
      const scheduler = spec.scheduler ?? pools[0]?.scheduler ?? 'credit2';
      const pcpus = sorted(spec.pcpus);
      refuse(createCpupoolRefusal(rules, { name: spec.name, scheduler, pcpus }));
      const isKnown = pools.some((pool) => pool.scheduler === scheduler);
      return {
        argv: ['xl', 'cpupool-create', ...formatXlCpupool({ name: spec.name, sched: scheduler, cpus: pcpus })],
        isDone: (after) =>
          after.pools.some(
            (pool) => pool.name === spec.name && pool.scheduler === scheduler && same(pool.pcpus, pcpus),
          ),
        // xl does not say why. Everything else that Xen looks at was looked at before.
        ...(isKnown ? {} : { refusal: schedulerMissing(scheduler) }),
      };
    });
  }

  destroyCpupool(name: string): Promise<readonly CpupoolInfo[]> {
    return this.#changePools(
      ({ pools }, rules) => {
        refuse(destroyCpupoolRefusal(rules, name));
        const pool = poolNamed(pools, name);
        return {
          argv: ['xl', 'cpupool-destroy', '--', poolWord(name)],
          isDone: (after) => poolNamed(after.pools, name) === undefined,
          ...(pool?.pcpus.length === 0 ? {} : ticksApart(pool)),
        };
      },
      { parameters: true },
    );
  }

  renameCpupool(name: string, newName: string): Promise<readonly CpupoolInfo[]> {
    return this.#changePools(({ pools }, rules) => {
      refuse(renameCpupoolRefusal(rules, name, newName));
      const position = pools.findIndex((pool) => pool.name === name);
      return {
        argv: ['xl', 'cpupool-rename', '--', poolWord(name), newName],
        isDone: (after) => after.pools[position]?.name === newName,
      };
    });
  }

  addPcpu(name: string, pcpu: PcpuId): Promise<readonly CpupoolInfo[]> {
    return this.#changePools(
      ({ pools }, rules) => {
        refuse(addPcpuRefusal(rules, name, pcpu));
        return {
          argv: ['xl', 'cpupool-cpu-add', '--', poolWord(name), String(pcpu)],
          isDone: (after) => poolNamed(after.pools, name)?.pcpus.includes(pcpu) === true,
          ...ticksApart(poolNamed(pools, name)),
        };
      },
      { parameters: true },
    );
  }

  removePcpu(name: string, pcpu: PcpuId): Promise<readonly CpupoolInfo[]> {
    return this.#changePools(
      ({ pools }, rules) => {
        refuse(removePcpuRefusal(rules, name, pcpu));
        return {
          argv: ['xl', 'cpupool-cpu-remove', '--', poolWord(name), String(pcpu)],
          isDone: (after) => poolNamed(after.pools, name)?.pcpus.includes(pcpu) === false,
          ...ticksApart(poolNamed(pools, name)),
        };
      },
      { parameters: true },
    );
  }

  /**
   * On Xen 4.17 a paused domain that left a credit2 pool brought the whole host down (in the scheduler's update of
   * weights), so that is refused here, as busy: it may be moved once it runs.
   */
  moveDomain(domain: DomainIdentity, name: string): Promise<void> {
    return this.#changeDomain({ domains: true }, ({ pools, domains }, rules) => {
      const moved = here(domains, domain);
      const { domid, cpupool = '' } = moved;
      refuse(moveDomainRefusal(rules, { domid, cpupool }, name));
      const isRisky =
        /^4\.17\b/.test(this.#port.facts().xenVersion) && poolNamed(pools, cpupool)?.scheduler === 'credit2';
      if (isRisky && cpupool !== name && moved.paused) throw cpupoolRefused(pausedMove);
      return {
        argv: ['xl', 'cpupool-migrate', '--', String(domid), poolWord(name)],
        domain,
        isDone: (after) => here(after.domains, domain).cpupool === name,
        ...(isRisky && cpupool !== name ? { guard: notPaused(domain) } : {}),
      };
    });
  }

  numaSplit(): Promise<readonly CpupoolInfo[]> {
    return this.#changePools((_, rules) => {
      refuse(numaSplitRefusal(rules));
      const names = numaSplitPlan(rules).flatMap((step) =>
        step.kind === 'rename' ? [step.newName] : step.kind === 'create' ? [step.pool] : [],
      );
      const nodes = names.map((name) => rules.nodeOf.filter((node) => name === `Pool-node${node}`).length);
      return {
        argv: ['xl', 'cpupool-numa-split'],
        isDone: ({ pools }) =>
          pools.length === names.length &&
          pools.every(({ name, pcpus }, index) => name === names[index] && pcpus.length === nodes[index]),
      };
    });
  }

  setCpupoolParameters(name: string, parameters: CpupoolParameters): Promise<readonly CpupoolInfo[]> {
    return this.#changePools(
      ({ pools }) => {
        const pool = poolNamed(pools, name);
        if (pool === undefined) throw cpupoolRefused(unknownPool(name));
        refuse(poolParametersRefusal(pool.scheduler, pool.parameters, parameters));
        const { tsliceMs, ratelimitUs, migrationDelayUs } = parameters;
        const options = [...option('-t', tsliceMs), ...option('-r', ratelimitUs), ...option('-m', migrationDelayUs)];
        return {
          argv:
            options.length === 0 ? ['true'] : ['xl', `sched-${pool.scheduler}`, '-s', '-p', poolWord(name), ...options],
          isDone: (after) => contains(poolNamed(after.pools, name)?.parameters, parameters),
        };
      },
      { parameters: true },
    );
  }

  setDomainParameters(domain: DomainIdentity, parameters: DomainSchedParameters): Promise<void> {
    return this.#changeDomain({ parameters: true, domains: true, vcpusOf: domain.domid }, (state) => {
      const { domid, cpupool = '' } = here(state.domains, domain);
      const scheduler = poolNamed(state.pools, cpupool)?.scheduler ?? 'null';
      const now = state.domainParameters.get(domid) ?? {};
      refuse(domainParametersRefusal(scheduler, now, parameters, state.vcpus.length));
      return {
        argv: parameterCommand(domain, scheduler, now, parameters),
        domain,
        isDone: (after) => contains(after.domainParameters.get(domid), parameters),
      };
    });
  }

  async domainParameters(domain: DomainIdentity): Promise<DomainSchedParameters> {
    const state = await this.#look({ parameters: true, domains: true });
    return state.domainParameters.get(here(state.domains, domain).domid) ?? {};
  }

  async vcpus(domain: DomainIdentity): Promise<readonly VcpuInfo[]> {
    const state = await this.#look({ domains: true, vcpusOf: domain.domid });
    here(state.domains, domain);
    return state.vcpus;
  }

  /** Whether the guest has done it is not waited for: it need not at all. */
  async setVcpusOnline(domain: DomainIdentity, count: number): Promise<void> {
    const leave = await this.#turnstile.enter();
    try {
      const command = `xl vcpu-set ${domain.domid} ${Math.trunc(count)}`;
      const limits = { timeLimitMs: workLimitMs, lane: 'work' } as const;
      await this.#port.run(command, scriptHead + surviveHangup + domainScript(domain, believing(command)), limits);
    } finally {
      this.#port.changed();
      leave();
    }
  }

  pinVcpu(
    domain: DomainIdentity,
    pin: { readonly vcpu?: VcpuInfo['vcpu']; readonly hard?: readonly PcpuId[]; readonly soft?: readonly PcpuId[] },
  ): Promise<void> {
    return this.#changeDomain({ domains: true, vcpusOf: domain.domid }, (state, rules) => {
      const { domid, cpupool = '' } = here(state.domains, domain);
      const poolPcpus = poolNamed(state.pools, cpupool)?.pcpus ?? [];
      refuse(pinRefusal(pin, { vcpusMax: state.vcpus.length, poolPcpus, pcpuCount: rules.nodeOf.length }));
      const online = new Set(this.#port.facts().pcpus.map(({ pcpu }) => pcpu));
      const wanted = (pcpus: readonly PcpuId[]): readonly PcpuId[] => sorted(pcpus.filter((pcpu) => online.has(pcpu)));
      const word = (pcpus: readonly PcpuId[] | undefined): string =>
        pcpus === undefined ? '-' : wanted(pcpus).length === online.size ? 'all' : formatXlBitmap(wanted(pcpus));
      const { vcpu, hard, soft } = pin;
      return {
        argv:
          hard === undefined && soft === undefined
            ? ['true']
            : ['xl', 'vcpu-pin', String(domid), vcpu === undefined ? 'all' : String(vcpu), word(hard), word(soft)],
        domain,
        isDone: (after) =>
          after.vcpus
            .filter((each) => vcpu === undefined || each.vcpu === vcpu)
            .every(
              (each) =>
                (hard === undefined || same(each.hardAffinity, wanted(hard))) &&
                (soft === undefined || same(each.softAffinity ?? [], wanted(soft))),
            ),
      };
    });
  }

  async #look(sight: Sight): Promise<SchedulingState> {
    const facts = this.#port.facts();
    const limits = { timeLimitMs: lookLimitMs, lane: 'look' } as const;
    const { stdout } = await this.#port.run('xl cpupool-list', scriptHead + schedulingScript(sight), limits);
    return readSchedulingState(stdout, facts);
  }

  async #changePools(plan: Plan, before: Sight = {}): Promise<readonly CpupoolInfo[]> {
    return (await this.#change(plan, before, { parameters: true })).pools;
  }

  async #changeDomain(sight: Sight, plan: Plan): Promise<void> {
    await this.#change(plan, sight, sight);
  }

  /** Looks, asks `plan` what to do then (it throws what is refused), does it, and looks whether it is so. */
  async #change(plan: Plan, before: Sight, after: Sight): Promise<SchedulingState> {
    const leave = await this.#turnstile.enter();
    try {
      const facts = this.#port.facts();
      const state = await this.#look(before);
      const operation = plan(state, rulesState(state.pools, facts));
      const called = operation.argv.slice(0, 2).join(' ');
      try {
        const limits = { timeLimitMs: workLimitMs, lane: 'work' } as const;
        const { stdout } = await this.#port.run(called, operationScript(operation, after), limits);
        return checkedDone(called, operation, stdout, facts);
      } finally {
        this.#port.changed();
      }
    } finally {
      leave();
    }
  }
}

/** What is refused for a paused domain on a Xen that dies of it. */
const pausedMove: CpupoolRefusal = {
  errno: 'EBUSY',
  words: 'Xen 4.17 can crash when a paused domain leaves a credit2 cpupool: unpause it, then move it',
};

/** Ends with an exit code of our own when the domain is paused now. */
const notPaused = ({ domid }: DomainIdentity): string =>
  `! xl list ${domid} | grep -q ' ${domid}  *[0-9][0-9]*  *[0-9][0-9]*  *[r-][b-]p' || exit ${pausedExit}; `;
const pausedExit = 95;

/**
 * The longest timeslice is set before a pCPU joins or leaves a pool under credit, and the pool's own afterwards, when the
 * pool is still there. Credit's tickers run a few times in a timeslice, and on Xen 4.17 two things happen when one runs just then; both
 * were seen on an emulated host, where a pCPU may stand still for some milliseconds between two instructions:
 * - a pCPU's ticker runs while the pCPU has no data of the scheduler (xen/common/sched/credit.c, csched_tick;
 *   xen/common/sched/core.c, schedule_cpu_add and schedule_cpu_rm): Xen panics (at 5 ms, within 130 joins and leaves);
 * - the last pCPU to leave stops the master ticker and waits for it, holding the lock that the ticker's own work takes
 *   (credit.c, csched_deinit_pdata and csched_acct; xen/common/timer.c, kill_timer): the whole host stands still (at 10 ms, at the eighth pool).
 */
function ticksApart(pool: CpupoolInfo | undefined): { readonly guard?: string; readonly afterwards?: string } {
  if (pool?.scheduler !== 'credit' || pool.parameters.tsliceMs === undefined) return {};
  return {
    guard: `${timeslice(pool.name, longestTsliceMs)}; `,
    afterwards: `; ${timeslice(pool.name, pool.parameters.tsliceMs)}`,
  };
}
const timeslice = (pool: string, tsliceMs: number): string =>
  `${shellCommand(['xl', 'sched-credit', '-s', '-p', pool, '-t', String(tsliceMs)])} >/dev/null 2>&1`;
/** XEN_SYSCTL_CSCHED_TSLICE_MAX in xen/include/public/sysctl.h. */
const longestTsliceMs = 1000;

/** Runs the command, keeping its exit code and its words for a section each, then lists what there is now. */
function operationScript(operation: Operation, sight: Sight): string {
  const { argv, domain, guard = '', afterwards = '' } = operation;
  const command = guard + shellCommand(argv);
  const work = domain === undefined ? command : domainScript(domain, command);
  return (
    `${scriptHead}${surviveHangup}w=$( ( ${work} ) 2>&1 >/dev/null </dev/null ); rc=$?${afterwards}; ` +
    `${section('exit')}echo $rc; ${section('words')}echo "$w"; ${schedulingScript(sight)}`
  );
}

/** What there is after the work. @throws HostError when the host does not say that it is as it was asked to be */
function checkedDone(called: string, operation: Operation, output: string, facts: HostFacts): SchedulingState {
  const sections = readSections(output);
  const exitCode = Number((sections.get('exit') ?? '').trim());
  const words = lastWords(sections.get('words') ?? '');
  const details = { command: called, exitCode, stderr: words };
  if (exitCode === scriptExit.noSuchDomain) throw new HostError('no-such-domain', words, details);
  if (exitCode === pausedExit) throw cpupoolRefused(pausedMove, details);
  const after = readSchedulingState(output, facts);
  if (operation.isDone(after)) return after;
  const errno = errnoIn(words);
  if (operation.refusal !== undefined && errno === undefined) throw cpupoolRefused(operation.refusal, details);
  const message = words === '' ? `${called} ended with exit code ${exitCode}, and nothing has changed` : words;
  if (errno === undefined) throw new HostError('command-failed', message, details);
  throw new HostError('xen-refused', message, { ...details, errno });
}

/** rtds takes period, budget and extratime together or not at all, and sets them for every vCPU. */
function parameterCommand(
  { domid }: DomainIdentity,
  scheduler: SchedulerName,
  now: DomainSchedParameters,
  changes: DomainSchedParameters,
): readonly string[] {
  if (Object.values(changes).every((value) => value === undefined)) return ['true'];
  if (scheduler !== 'rtds') {
    const options = [...option('-w', changes.weight), ...option('-c', changes.cap)];
    return ['xl', `sched-${scheduler}`, '-d', String(domid), ...options];
  }
  const period = option('-p', changes.periodUs ?? now.periodUs);
  const budget = option('-b', changes.budgetUs ?? now.budgetUs);
  const extra = option('-e', (changes.extratime ?? now.extratime ?? true) ? 1 : 0);
  return ['xl', 'sched-rtds', '-d', String(domid), '-v', 'all', ...period, ...budget, ...extra];
}

const option = (name: string, value: number | undefined): readonly string[] =>
  value === undefined ? [] : [name, String(value)];

function refuse(refusal: CpupoolRefusal | undefined): void {
  if (refusal !== undefined) throw cpupoolRefused(refusal);
}

function here(domains: readonly DomainInfo[], { domid, uuid }: DomainIdentity): DomainInfo {
  const found = domains.find((domain) => domain.domid === domid);
  if (found?.uuid === uuid) return found;
  throw new HostError('no-such-domain', `there is no domain ${domId(domid)} of uuid ${uuid}`);
}

const poolNamed = (pools: readonly CpupoolInfo[], name: string): CpupoolInfo | undefined =>
  pools.find((pool) => pool.name === name);

/** The name of a pool for a command of xl, which takes one of digits, as somebody may have given it, for an id. */
function poolWord(name: string): string {
  if (/^\d+$/.test(name)) throw new HostError('bad-config', `xl cannot name a cpupool that is called ${name}`);
  return name;
}

const sorted = (pcpus: readonly PcpuId[]): readonly PcpuId[] => [...new Set(pcpus)].sort((a, b) => a - b);

const same = (one: readonly PcpuId[], other: readonly PcpuId[]): boolean =>
  one.length === other.length && one.every((pcpu, index) => pcpu === other[index]);

/** Whether every value that was asked for is there. */
const contains = <T extends object>(there: T | undefined, asked: T): boolean =>
  Object.entries(asked).every(
    ([key, value]) => value === undefined || (there !== undefined && Reflect.get(there, key) === value),
  );
