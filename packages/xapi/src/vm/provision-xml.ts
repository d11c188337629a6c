/**
 * The disks that a template asks for, from `other_config:disks`. XAPI: ocaml/xapi/xapi_templates.ml
 * (`<provision><disk device=… size=… sr=… bootable=… type=…/>…</provision>`).
 */
import { XapiError } from '../errors.ts';

export interface ProvisionDisk {
  /** `userdevice` of the VBD. */
  readonly device: string;
  readonly sizeBytes: number;
  /** UUID of the repository; empty for the pool's default. */
  readonly sr: string;
  readonly bootable: boolean;
  readonly type: 'system' | 'user';
}

const disksMax = 26;
const textMax = 16_384;
const known: ReadonlySet<string> = new Set(['device', 'size', 'sr', 'bootable', 'type']);
const attribute = /^\s+([a-z]+)=(?:"([^"<&]*)"|'([^'<&]*)')/;

/** Reads the text; device and size of a disk must be there, and no two disks in one place. @throws XapiError INVALID_VALUE */
export function parseProvision(text: string): readonly ProvisionDisk[] {
  const bad = (): XapiError => new XapiError('INVALID_VALUE', 'other_config:disks', text.slice(0, 200));
  if (text.trim() === '') return [];
  if (text.length > textMax) throw bad();
  const inner = /^\s*<provision>([\s\S]*)<\/provision>\s*$/.exec(text)?.[1];
  if (inner === undefined) {
    if (/^\s*<provision\s*\/>\s*$/.test(text)) return [];
    throw bad();
  }
  const disks: ProvisionDisk[] = [];
  let rest = inner.trim();
  while (rest !== '') {
    if (!rest.startsWith('<disk') || disks.length === disksMax) throw bad();
    rest = rest.slice('<disk'.length);
    const values = new Map<string, string>();
    for (let match = attribute.exec(rest); match !== null; match = attribute.exec(rest)) {
      const name = match[1] ?? '';
      if (!known.has(name) || values.has(name)) throw bad();
      values.set(name, match[2] ?? match[3] ?? '');
      rest = rest.slice(match[0].length);
    }
    const end = /^\s*(?:\/>|>\s*<\/disk>)/.exec(rest);
    const size = Number(values.get('size'));
    const type = values.get('type') ?? 'user';
    const bootable = values.get('bootable') ?? 'false';
    const device = values.get('device') ?? '';
    const good =
      /^\d{1,16}$/.test(values.get('size') ?? '') &&
      Number.isSafeInteger(size) &&
      size > 0 &&
      /^(?:\d|[1-9]\d)$/.test(device) &&
      Number(device) < disksMax &&
      !disks.some((other) => other.device === device) &&
      /^(system|user)$/.test(type) &&
      /^(true|false)$/.test(bootable);
    if (end === null || !good) throw bad();
    rest = rest.slice(end[0].length).trim();
    disks.push({
      device,
      sizeBytes: size,
      sr: values.get('sr') ?? '',
      bootable: bootable === 'true',
      type: type === 'system' ? 'system' : 'user',
    });
  }
  return disks;
}
