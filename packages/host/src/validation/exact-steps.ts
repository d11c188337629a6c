/** Steps whose outcome is exact: operations on cpupools and affinities, with what is refused and what there is afterwards. */
import { assert, domId, pcpuId, uuid, vcpuId, type PcpuId } from '@xenolith/base';
import type { Question, QuestionResult, StepRow } from '@xenolith/experiments';
import { HostError, type DomainIdentity, type HostDriver } from '@xenolith/xapi';
import { guestConfig, type ValidatedHost } from './arranged-host.ts';

/** What a command of `xl` in the control domain came to. */
export interface ByHandOutcome {
  readonly exitCode: number;
  /** The last line that it said. */
  readonly words: string;
}

/** A host on which steps are taken: its driver, what makes guests, and the guest that the steps are about. */
export interface SteppedHost extends Pick<ValidatedHost, 'driver' | 'random' | 'guest'> {
  domain?: DomainIdentity;
}

export interface Step {
  readonly what: string;
  readonly take: (host: SteppedHost) => Promise<unknown>;
  /** The same for `xl` itself, where it is refused: words after `xl`, with DOMID for the number of the guest. */
  readonly byHand?: readonly string[];
}

const domain0: DomainIdentity = { domid: domId(0), uuid: uuid('00000000-0000-0000-0000-000000000000') };
const firstPool = 'Pool-0';
/** Of a host of eight pCPUs or more. */
const [p1, p2, p4, p5, p6, p7] = [1, 2, 4, 5, 6, 7].map((each) => pcpuId(each)) as [
  PcpuId,
  PcpuId,
  PcpuId,
  PcpuId,
  PcpuId,
  PcpuId,
];
const nowhere = 4000;

const guest = ({ domain }: SteppedHost): DomainIdentity => {
  assert(domain !== undefined, 'the guest of the steps is there');
  return domain;
};

const start =
  (cpupool: string, vcpus: number) =>
  async (host: SteppedHost): Promise<void> => {
    const config = guestConfig(host, { name: 'steps', cpupool, vcpus, work: { kind: 'idle' } });
    host.domain = { domid: await host.driver.create(config, { paused: false }), uuid: config.uuid };
  };

/** How often it is looked whether a domain that ends is gone: Xen takes its memory back for a while, and it counts until then. */
const endLooks = 30;

const end = async (host: SteppedHost): Promise<void> => {
  const { uuid: gone } = guest(host);
  await host.driver.destroy(guest(host));
  for (let look = 0; look < endLooks; look++)
    if ((await host.driver.refresh()).domains.every((domain) => domain.uuid !== gone)) return;
};

/** Q7. */
export const poolSteps: readonly Step[] = [
  step('create pool a (credit) without pCPUs', ({ scheduling }) =>
    scheduling.createCpupool({ name: 'a', scheduler: 'credit', pcpus: [] }),
  ),
  step('create pool a again', ({ scheduling }) => scheduling.createCpupool({ name: 'a', pcpus: [] }), [
    'cpupool-create',
    'name="a"',
  ]),
  step(
    'create pool b with pCPU 7, which is Pool-0’s',
    ({ scheduling }) => scheduling.createCpupool({ name: 'b', pcpus: [p7] }),
    ['cpupool-create', 'name="b"', 'cpus=["7"]'],
  ),
  step('add pCPU 7 to a while Pool-0 has it', ({ scheduling }) => scheduling.addPcpu('a', p7), [
    'cpupool-cpu-add',
    'a',
    '7',
  ]),
  step('remove pCPU 7 from Pool-0', ({ scheduling }) => scheduling.removePcpu(firstPool, p7)),
  step('add pCPU 7 to a', ({ scheduling }) => scheduling.addPcpu('a', p7)),
  step('add pCPU 7 to a again', ({ scheduling }) => scheduling.addPcpu('a', p7), ['cpupool-cpu-add', 'a', '7']),
  step('add pCPU 4000, which there is not', ({ scheduling }) => scheduling.addPcpu('a', pcpuId(nowhere)), [
    'cpupool-cpu-add',
    'a',
    String(nowhere),
  ]),
  step('remove pCPU 6, which is Pool-0’s, from a', ({ scheduling }) => scheduling.removePcpu('a', p6), [
    'cpupool-cpu-remove',
    'a',
    '6',
  ]),
  { what: 'start a VM in a', take: start('a', 1) },
  step('remove the last pCPU of a, which has a VM', ({ scheduling }) => scheduling.removePcpu('a', p7), [
    'cpupool-cpu-remove',
    'a',
    '7',
  ]),
  step('destroy a, which has a VM', ({ scheduling }) => scheduling.destroyCpupool('a'), ['cpupool-destroy', 'a']),
  step('create pool bare without pCPUs', ({ scheduling }) => scheduling.createCpupool({ name: 'bare', pcpus: [] })),
  {
    what: 'move the VM to bare, which has no pCPU',
    take: (host) => host.driver.scheduling.moveDomain(guest(host), 'bare'),
    byHand: ['cpupool-migrate', 'DOMID', 'bare'],
  },
  {
    what: 'move the VM to a pool that there is not',
    take: (host) => host.driver.scheduling.moveDomain(guest(host), 'no'),
    byHand: ['cpupool-migrate', 'DOMID', 'no'],
  },
  step('move Domain-0 to a', ({ scheduling }) => scheduling.moveDomain(domain0, 'a'), ['cpupool-migrate', '0', 'a']),
  {
    what: 'move the VM to Pool-0',
    take: (host) => host.driver.scheduling.moveDomain(guest(host), firstPool),
  },
  step('remove the last pCPU of a, which has no VM any more', ({ scheduling }) => scheduling.removePcpu('a', p7)),
  step('destroy a', ({ scheduling }) => scheduling.destroyCpupool('a')),
  step('destroy a, which is gone', ({ scheduling }) => scheduling.destroyCpupool('a'), ['cpupool-destroy', 'a']),
  step('rename bare to full', ({ scheduling }) => scheduling.renameCpupool('bare', 'full')),
  step('split by nodes while there are two pools', ({ scheduling }) => scheduling.numaSplit(), ['cpupool-numa-split']),
  step('destroy full', ({ scheduling }) => scheduling.destroyCpupool('full')),
  step('destroy Pool-0', ({ scheduling }) => scheduling.destroyCpupool(firstPool), ['cpupool-destroy', firstPool]),
  { what: 'end the VM', take: end },
  step('split by nodes', ({ scheduling }) => scheduling.numaSplit()),
  step('split by nodes again', ({ scheduling }) => scheduling.numaSplit(), ['cpupool-numa-split']),
];

/** Q9. */
export const pinSteps: readonly Step[] = [
  step('take pCPU 7 out of Pool-0', ({ scheduling }) => scheduling.removePcpu(firstPool, p7)),
  { what: 'start a VM of two vCPUs', take: start(firstPool, 2) },
  pin('all: hard and soft to every pCPU of the pool', { hard: [0, 1, 2, 3, 4, 5, 6], soft: [0, 1, 2, 3, 4, 5, 6] }),
  pin('vCPU 0: hard to 1 and 2', { vcpu: vcpuId(0), hard: [p1, p2] }),
  pin('vCPU 1: soft to 4 and 5', { vcpu: vcpuId(1), soft: [p4, p5] }),
  pin('vCPU 1: hard to 1, soft to 4 (which cannot be met)', { vcpu: vcpuId(1), hard: [p1], soft: [p4] }),
  pin('all: hard to 2, 4 and 6', { hard: [p2, p4, p6] }),
  pin('vCPU 0: hard to 7, which is not in its pool', { vcpu: vcpuId(0), hard: [p7] }, ['vcpu-pin', 'DOMID', '0', '7']),
  pin('vCPU 0: hard to 6 and 7', { vcpu: vcpuId(0), hard: [p6, p7] }),
  pin('vCPU 2, which there is not', { vcpu: vcpuId(2), hard: [p1] }, ['vcpu-pin', 'DOMID', '2', '1']),
  {
    what: 'move the VM to a pool of pCPU 7',
    take: async (host) => {
      await host.driver.scheduling.createCpupool({ name: 'other', pcpus: [p7] });
      await host.driver.scheduling.moveDomain(guest(host), 'other');
    },
  },
];

function step(what: string, take: (driver: HostDriver) => Promise<unknown>, byHand?: readonly string[]): Step {
  return { what, take: ({ driver }) => take(driver), ...(byHand === undefined ? {} : { byHand }) };
}

interface Pin {
  readonly vcpu?: ReturnType<typeof vcpuId>;
  readonly hard?: readonly number[];
  readonly soft?: readonly number[];
}

function pin(what: string, { vcpu, hard, soft }: Pin, byHand?: readonly string[]): Step {
  const numbered = (pcpus: readonly number[]): readonly PcpuId[] => pcpus.map((each) => pcpuId(each));
  return {
    what,
    take: (host) =>
      host.driver.scheduling.pinVcpu(guest(host), {
        ...(vcpu === undefined ? {} : { vcpu }),
        ...(hard === undefined ? {} : { hard: numbered(hard) }),
        ...(soft === undefined ? {} : { soft: numbered(soft) }),
      }),
    ...(byHand === undefined ? {} : { byHand }),
  };
}

/** What a host has that the steps are about, as one line of text. */
export type Look = (host: SteppedHost) => Promise<string>;

export const poolsLook: Look = async ({ driver }) =>
  (await driver.scheduling.cpupools())
    .map(({ name, scheduler, pcpus, domainCount }) => `${name} ${scheduler} [${pcpus.join(',')}] ${domainCount} dom`)
    .join('; ');

export const pinsLook: Look = async ({ driver, domain }) => {
  if (domain === undefined) return '';
  const vcpus = await driver.scheduling.vcpus(domain);
  return vcpus
    .map(
      ({ vcpu, hardAffinity, softAffinity = [] }) =>
        `v${vcpu} [${hardAffinity.join(',')}] / [${softAffinity.join(',')}]`,
    )
    .join('; ');
};

/** Takes every step on both hosts, one after the other, and compares outcomes and what there is afterwards. */
export async function askExact(
  question: Question,
  steps: readonly Step[],
  look: Look,
  sides: {
    readonly model: SteppedHost;
    readonly real: SteppedHost;
    readonly xl: (words: readonly string[]) => Promise<ByHandOutcome>;
    readonly say: (what: string) => void;
  },
): Promise<QuestionResult> {
  const { model, real, xl, say } = sides;
  const rows: StepRow[] = [];
  for (const each of steps) {
    say(each.what);
    const expected = `${await outcome(each, model)}: ${await look(model)}`;
    const came = await outcome(each, real);
    // Looks cost seconds on an emulated host: one tells what both the driver and the administrator have left.
    const byHand = each.byHand === undefined ? undefined : await xl(wordsFor(each.byHand, real));
    const got = `${came}: ${await look(real)}`;
    rows.push({
      step: each.what,
      model: expected,
      real: got,
      ...(byHand === undefined ? {} : { byHand: saidText(byHand) }),
      verdict: got === expected ? 'holds' : 'fails',
    });
  }
  return { id: question.id, metrics: [], claims: [], steps: rows, trouble: [] };
}

/** Done, or refused with Xen's number. */
async function outcome({ take }: Step, host: SteppedHost): Promise<string> {
  try {
    await take(host);
    return 'done';
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return `refused, ${error.details.errno ?? error.code}`;
  }
}

const wordsFor = (words: readonly string[], { domain }: SteppedHost): readonly string[] =>
  words.map((word) => (word === 'DOMID' ? String(domain?.domid) : word));

const saidText = ({ exitCode, words }: ByHandOutcome): string =>
  `exit code ${exitCode}${words === '' ? '' : `, “${words}”`}`;
