/**
 * Takes out of an inventory what says whose it is: names become other names, the same one for the same name; every other text
 * is left out unless it is known to say nothing of anybody, and so are the values of maps. References, UUIDs, numbers, states
 * and types stay.
 */
import { createHmac } from 'node:crypto';
import type { WireValue } from '@xenolith/wire';
import { classTable, classTables, parseDataType, type DataType } from '@xenolith/xapi';
import type { Inventory } from './inventory.ts';

type Fields = Readonly<Record<string, WireValue>>;

/** Classes that are about people, or hold texts of any kind. */
const personal = new Set([
  'message',
  'subject',
  'certificate',
  'auth',
  'host_crashdump',
  'crashdump',
  'VMPP',
  'DR_task',
]);

/** Fields that hold a name. */
const names = new Set(['name_label', 'hostname', 'user_label']);

/** Texts that say nothing of anybody. Every other one becomes empty. */
const keptTexts = new Set(
  `uuid type content_type device userdevice sched_policy version required_api_version protocol vendor modelname flags
  features stepping API_version_vendor PV_kernel PV_ramdisk PV_bootloader HVM_boot_policy edition generation_id domarch
  scheduler image_format bridge duplex device_name class code`.split(/\s+/),
);
/** Maps and sets that say nothing of anybody; what the others hold is replaced, and sets of texts become empty. */
const keptWhole = new Set(
  `cpu_info platform HVM_boot_params VCPUs_params parameters features capabilities restrictions supported_bootloaders
  virtual_hardware_platform_versions required_cluster_stack supported_image_formats`.split(/\s+/),
);

/** @param key what the new names depend on: two inventories that were scrambled with one key have the same new names */
export function scrambleInventory(inventory: Inventory, key: string): Inventory {
  const other = (text: string): string => createHmac('sha256', key).update(text).digest('hex').slice(0, 10);
  const classes: Record<string, Record<string, Fields>> = {};
  for (const [className, records] of Object.entries(inventory.classes)) {
    if (personal.has(className)) continue;
    const scrambled = Object.entries(records).map(([ref, record]) => [ref, scrambleRecord(className, record, other)]);
    classes[className] = Object.fromEntries(scrambled) as Record<string, Fields>;
  }
  return { ...inventory, classes };
}

function scrambleRecord(className: string, record: Fields, other: (text: string) => string): Fields {
  const fields = Object.entries(record).map(([name, value]) => [name, scrambleField(className, name, value, other)]);
  return Object.fromEntries(fields) as Fields;
}

function scrambleField(className: string, name: string, value: WireValue, other: (text: string) => string): WireValue {
  const type = fieldType(className, name);
  if (type === undefined) return emptyLike(value);
  if (type.kind === 'string' && typeof value === 'string') {
    if (value === '' || keptTexts.has(name)) return value;
    if (names.has(name)) return `${className.toLowerCase()}-${other(value)}`;
    if (name === 'MAC') return scrambledMac(other(value.toLowerCase()));
    // The file of a disk.
    if (className === 'VDI' && name === 'location') return diskFile.test(value) ? value : other(value);
    return '';
  }
  if (keptWhole.has(name)) return value;
  if (type.kind === 'map' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const members = Object.entries(value).map(([key, member]) => [key, scrambleMember(member, other)]);
    return Object.fromEntries(members) as WireValue;
  }
  return type.kind === 'set' && type.of.kind === 'string' ? [] : value;
}

const fieldType = (className: string, name: string): DataType | undefined => {
  const type = Object.hasOwn(classTables, className) ? classTable(className).fields[name]?.type : undefined;
  return type === undefined ? undefined : parseDataType(type);
};

const diskFile = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:\.\w{1,8})?$/i;

/** Locally administered. */
const scrambledMac = (hex: string): string => ['02', ...(hex.match(/../g) ?? [])].join(':');

/** What says nothing of anybody: truth, numbers, references, UUIDs. */
const plain = /^(?:true|false|-?\d{1,20}(?:\.\d+)?|OpaqueRef:[-\w]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?$/i;

/** A path stays one, of other words. */
function scrambleMember(value: WireValue, other: (text: string) => string): WireValue {
  if (typeof value !== 'string' || plain.test(value)) return typeof value === 'object' ? emptyLike(value) : value;
  return value.startsWith('/') ? `/${other(value)}` : other(value);
}

function emptyLike(value: WireValue): WireValue {
  if (typeof value === 'string') return '';
  if (Array.isArray(value)) return [];
  return typeof value === 'object' && value !== null ? {} : value;
}
