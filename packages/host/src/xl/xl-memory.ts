import { domId, fromKib, fromMib, kibBytes, uuid, type Bytes, type DomId } from '@xenolith/base';
import { parseXenstoreLs, parseXentop, parseXlInfo, parseXlList, XlParseError } from '@xenolith/wire';
import {
  HostError,
  leastTargetBytes,
  type DomainIdentity,
  type DomainMemory,
  type HostMemory,
  type MemoryStates,
} from '@xenolith/xapi';
import { domainInfoOf } from './domain-config.ts';
import { domainScript, readSections, scriptExit, scriptHead, section, surviveHangup } from './host-script.ts';
import type { XlPort } from './xl-port.ts';

const lookLimitMs = 20_000;
const workLimitMs = 60_000;

/** Keys of a domain in xenstore that are read, and nothing else of what is there. */
const wantedKeys = 'memory/(target|static-max|videoram)|control/feature-(balloon|poweroff)|data/updated';

/**
 * Everything at once: the domains, what Xen has free, the domains' memory to the KiB where there is an xentop (Debian's
 * package hides it), and their keys. xenstore-ls may stumble over a domain that goes: what it said until then is taken.
 */
const statesScript =
  `${scriptHead}xl list -v || exit 1; ` +
  `${section('info')}xl info || exit 1; ` +
  `${section('xentop')}for x in xentop /usr/lib/xen*/bin/xentop; do ` +
  'command -v "$x" >/dev/null && { "$x" -b -f -i 1 2>/dev/null; break; }; done; ' +
  `${section('xenstore')}xenstore-ls -f /local/domain 2>/dev/null | ` +
  `grep -E '^/local/domain/[0-9]+/(${wantedKeys}) = '; exit 0`;

/** {@link HostMemory} by `xl`, `xentop` and xenstore. */
export class XlMemory implements HostMemory {
  readonly #port: Pick<XlPort, 'run' | 'changed'>;

  constructor(port: Pick<XlPort, 'run' | 'changed'>) {
    this.#port = port;
  }

  async states(): Promise<MemoryStates> {
    const { stdout } = await this.#port.run('xl list -v', statesScript, { timeLimitMs: lookLimitMs, lane: 'look' });
    return readStates(stdout);
  }

  async setTarget(domain: DomainIdentity, targetBytes: Bytes): Promise<void> {
    if (domain.domid === domId(0)) throw new HostError('command-failed', 'Domain-0 is the control domain');
    if (targetBytes < leastTargetBytes)
      throw new HostError('bad-config', `a target of ${targetBytes} bytes is less than a guest can live with`);
    const kib = Math.ceil(targetBytes / kibBytes);
    const text = scriptHead + surviveHangup + domainScript(domain, setScript(domain.domid, kib));
    try {
      await this.#port.run(`xl mem-set ${domain.domid} ${kib}k`, text, { timeLimitMs: workLimitMs, lane: 'work' });
    } finally {
      this.#port.changed();
    }
  }
}

/**
 * Sets a target and reads it back, as xl ends with 0 for more than what was done. xenstore has it without the memory of an
 * emulated graphics card.
 */
const setScript = (domid: DomId, kib: number): string =>
  `k=/local/domain/${domid}/memory; m=$(xenstore-read $k/static-max 2>/dev/null); ` +
  `[ ${kib} -le "\${m:-${kib}}" ] || { echo "domain ${domid} can have $m KiB at most" >&2; exit ${scriptExit.beyondMaximum}; }; ` +
  `xl mem-set ${domid} ${kib}k >&2 && t=$(xenstore-read $k/target) && v=$(xenstore-read $k/videoram 2>/dev/null || echo 0) && ` +
  `{ [ "$t" = ${kib} ] || [ $((t + v)) = ${kib} ] || { echo "xl mem-set left a target of $t KiB" >&2; false; }; }`;

/** Reads what the script of {@link XlMemory.states} printed. @throws HostError command-failed when it makes no sense */
export function readStates(output: string): MemoryStates {
  const sections = readSections(output);
  try {
    const exactKib = exactAmounts(sections.get('xentop') ?? '');
    const keys = keysOf(sections.get('xenstore') ?? '');
    const domains = parseXlList(sections.get('') ?? '').flatMap((row): readonly DomainMemory[] => {
      const info = domainInfoOf(row);
      if (info === undefined || info.dying) return [];
      const own = keys.get(info.domid) ?? new Map<string, string>();
      const targetKib = kibOf(own.get('memory/target'));
      const videoKib = Math.max(0, kibOf(own.get('memory/videoram')) ?? 0);
      const actualKib = exactKib.get(info.name) ?? roughly(info.memoryBytes / kibBytes, targetKib);
      const target = targetKib === undefined ? actualKib : targetKib + videoKib;
      return [
        {
          domid: info.domid,
          uuid: uuid(info.uuid),
          actualBytes: fromKib(actualKib),
          targetBytes: fromKib(target),
          maximumBytes: fromKib(kibOf(own.get('memory/static-max')) ?? target),
          hasBalloonDriver:
            targetKib !== undefined &&
            ['balloon', 'poweroff'].some((word) => isSet(own.get(`control/feature-${word}`))),
          hasAgent: own.has('data/updated'),
        },
      ];
    });
    return { freeBytes: fromMib(parseXlInfo(sections.get('info') ?? '').freeMemoryMib), domains };
  } catch (error) {
    if (error instanceof XlParseError) throw new HostError('command-failed', error.message, { command: error.command });
    throw error;
  }
}

const isSet = (value: string | undefined): boolean => value !== undefined && value !== '' && value !== '0';

const kibOf = (value: string | undefined): number | undefined =>
  value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;

/** An amount of which only the whole MiB are known is the target's when it has as many: nothing says otherwise. */
const roughly = (mibKib: number, targetKib: number | undefined): number =>
  targetKib !== undefined && Math.floor(targetKib / 1024) * 1024 === mibKib ? targetKib : mibKib;

/** What domains have to the KiB, by their names: no two have the same. Nothing when xentop says nothing, or something odd. */
function exactAmounts(text: string): ReadonlyMap<string, number> {
  if (text.trim() === '') return new Map();
  try {
    return new Map((parseXentop(text)[0] ?? []).map(({ name, memoryKib }) => [name, memoryKib]));
  } catch (error) {
    if (error instanceof XlParseError) return new Map();
    throw error;
  }
}

function keysOf(text: string): ReadonlyMap<DomId, ReadonlyMap<string, string>> {
  const byDomain = new Map<DomId, Map<string, string>>();
  for (const { path, value } of text.trim() === '' ? [] : parseXenstoreLs(text)) {
    const match = /^\/local\/domain\/(\d+)\/(.*)$/.exec(path);
    if (match === null) continue;
    const domid = domId(Number(match[1]));
    const own = byDomain.get(domid) ?? new Map<string, string>();
    own.set(match[2] ?? '', value);
    byDomain.set(domid, own);
  }
  return byDomain;
}
