/** The line that each command of xe is tried with, made of its keys, and of what is told here of some. */
import { readFileSync } from 'node:fs';

interface Known {
  readonly name: string;
  readonly required: readonly string[];
  readonly selects: string | null;
}

/** The commands of xe of XAPI 26, with their keys. */
export const knownCommands = JSON.parse(
  readFileSync(new URL('../fixtures/xe/commands.json', import.meta.url), 'utf8'),
) as readonly Known[];

const newBond = 'bond-create network-uuid=$lan pif-uuids=$card1,$card2 mode=active-backup';

/** What a key is given, unless the command says otherwise. */
const samples: Readonly<Record<string, string>> = {
  'vm-uuid': '$spare',
  'host-uuid': '$host1',
  host: '$host1',
  'sr-uuid': '$sr',
  'network-uuid': '$lan',
  'pif-uuid': '$pif',
  'pif-uuids': '$pif',
  'vdi-uuid': '$other-vdi',
  'vif-uuid': '$vif',
  'vdi-from-uuid': '$vdi',
  'vdi-to-uuid': '$other-vdi',
  'template-uuid': '$template',
  'host-uuids': '$host1',
  filename: 'f',
  'file-name': 'f',
  'license-file': 'f',
  'certificate-file': 'f',
  certificate: 'f',
  'private-key': 'f',
  device: '1',
  vlan: '7',
  'virtual-size': '1GiB',
  'disk-size': '2GiB',
  size: '1GiB',
  priority: '3',
  'new-vcpus': '1',
  'new-name-label': 'new',
  target: '256MiB',
  memory: '256MiB',
  min: '256MiB',
  max: '256MiB',
  'static-min': '16MiB',
  'static-max': '512MiB',
  'dynamic-min': '256MiB',
  'dynamic-max': '256MiB',
  total: '1GiB',
  multiplier: '1',
  seconds: '1',
  'dest-port': '80',
  'first-port': '6910',
  'last-port': '6930',
  'burst-size': '1',
  'fill-rate': '1',
  ldaps: 'true',
  ca: 'true',
  update: 'true',
  value: 'true',
  mark: 'true',
  'update-sync-frequency': 'daily',
  'update-sync-day': '0',
  placement: 'normal',
  frequency: 'daily',
  'initial-allocation': '1',
  'allocation-quantum': '1',
  type: 'user',
  'cd-name': 'disc',
  primary_address_type: 'IPv4',
};

/** Lines of their own; those before the last make what it needs, and what they print is `$a`, `$b`, … */
const own: Readonly<Record<string, readonly string[]>> = {
  'caller-query-usage': ['caller-query-usage group=x'],
  'hostdriver-deselect': ['hostdriver-deselect uuid=$hostdriver force=true'],
  'message-create': ['message-create name=x priority=3 body=x vm-uuid=$spare'],
  'pvs-cache-storage-create': [
    'pvs-cache-storage-create host-uuid=$host1 sr-uuid=$sr pvs-site-uuid=$pvs-site size=1GiB',
  ],
  'update-apply': ['update-apply uuid=$update host=$host1'],
  'update-precheck': ['update-precheck uuid=$update host=$host1'],
  'vm-memory-balloon': ['vm-memory-balloon uuid=$web target=256MiB'],
  'vtpm-destroy': ['vtpm-create vm-uuid=$spare', 'vtpm-destroy uuid=$a force=true'],
  'vm-start': ['vm-start uuid=$spare'],
  'vm-destroy': ['vm-destroy uuid=$spare'],
  'vm-uninstall': ['vm-uninstall uuid=$spare force=true'],
  'vm-unpause': ['vm-pause uuid=$web', 'vm-unpause uuid=$web'],
  'vm-resume': ['vm-suspend uuid=$web', 'vm-resume uuid=$web'],
  'vm-reset-powerstate': ['vm-reset-powerstate uuid=$web force=true'],
  'vm-clone': ['vm-clone uuid=$spare new-name-label=new'],
  'vm-copy': ['vm-copy uuid=$spare new-name-label=new'],
  'vm-migrate': [
    'vm-migrate uuid=$web host=xen2',
    'sr-create host-uuid=$host1 name-label=more type=file device-config:location=/more',
    'vm-migrate uuid=$web host=xen1 vdi:$vdi=$b',
    'vm-disk-list uuid=$web vbd-params=device vdi-params=sr-name-label',
  ],
  'vm-disk-add': ['vm-disk-add uuid=$spare disk-size=1GiB device=0'],
  'vm-disk-remove': ['vm-disk-add uuid=$spare disk-size=1GiB device=0', 'vm-disk-remove uuid=$spare device=0'],
  'vm-memory-set': ['vm-memory-set uuid=$spare memory=256MiB'],
  'vm-memory-static-range-set': ['vm-memory-static-range-set uuid=$spare min=16MiB max=512MiB'],
  'vm-memory-limits-set': [
    'vm-memory-limits-set uuid=$spare static-min=16MiB static-max=512MiB dynamic-min=256MiB dynamic-max=256MiB',
  ],
  'vm-install': ['vm-install new-name-label=new template-uuid=$template'],
  'vm-create': ['vm-create name-label=new'],
  'vm-group-create': ['vm-group-create name-label=new placement=normal'],
  'vm-group-destroy': ['vm-group-create name-label=new placement=normal', 'vm-group-destroy uuid=$a'],
  'vm-set-uefi-mode': ['vm-set-uefi-mode uuid=$spare mode=setup'],
  'snapshot-revert': ['vm-snapshot uuid=$spare new-name-label=s', 'snapshot-revert snapshot-uuid=$a'],
  'snapshot-reset-powerstate': [
    'vm-snapshot uuid=$spare new-name-label=s',
    'snapshot-reset-powerstate uuid=$a force=true',
  ],
  'snapshot-clone': ['vm-snapshot uuid=$spare new-name-label=s', 'snapshot-clone uuid=$a new-name-label=new'],
  'snapshot-copy': ['vm-snapshot uuid=$spare new-name-label=s', 'snapshot-copy uuid=$a new-name-label=new'],
  'snapshot-uninstall': ['vm-snapshot uuid=$spare new-name-label=s', 'snapshot-uninstall uuid=$a force=true'],
  'snapshot-destroy': ['vm-snapshot uuid=$spare new-name-label=s', 'snapshot-destroy uuid=$a'],
  'snapshot-disk-list': ['vm-snapshot uuid=$web new-name-label=s', 'snapshot-disk-list uuid=$a'],
  'template-uninstall': ['template-uninstall template-uuid=$template force=true'],
  'vdi-destroy': ['vdi-destroy uuid=$other-vdi'],
  'vdi-forget': ['vdi-forget uuid=$other-vdi'],
  'vdi-resize': ['vdi-resize uuid=$other-vdi disk-size=2GiB'],
  'vdi-clone': ['vdi-clone uuid=$other-vdi new-name-label=new'],
  'vdi-copy': ['vdi-copy uuid=$other-vdi sr-uuid=$sr'],
  'vdi-snapshot': ['vdi-snapshot uuid=$other-vdi'],
  'vdi-unlock': ['vdi-unlock uuid=$other-vdi force=true'],
  'vdi-pool-migrate': [
    'sr-create host-uuid=$host1 name-label=more type=file device-config:location=/more',
    'vdi-pool-migrate uuid=$other-vdi sr-uuid=$a',
  ],
  'vdi-introduce': ['vdi-introduce uuid=$started sr-uuid=$sr type=user location=x'],
  'vbd-destroy': ['vbd-create vm-uuid=$spare device=1 vdi-uuid=$other-vdi', 'vbd-destroy uuid=$a'],
  'vbd-create': ['vbd-create vm-uuid=$spare device=1 vdi-uuid=$other-vdi'],
  'vbd-insert': ['vbd-create vm-uuid=$spare device=3 type=CD mode=RO', 'vbd-insert uuid=$a vdi-uuid=$other-vdi'],
  'vbd-eject': ['vbd-create vm-uuid=$spare device=3 type=CD mode=RO', 'vbd-eject uuid=$a'],
  'vif-plug': ['vif-create device=1 network-uuid=$lan vm-uuid=$web', 'vif-plug uuid=$a'],
  'vif-configure-ipv4': ['vif-configure-ipv4 uuid=$vif mode=none'],
  'vif-configure-ipv6': ['vif-configure-ipv6 uuid=$vif mode=none'],
  'vif-destroy': ['vif-create device=1 network-uuid=$lan vm-uuid=$spare', 'vif-destroy uuid=$a'],
  'network-destroy': ['network-destroy uuid=$lan'],
  'vlan-destroy': ['vlan-create pif-uuid=$pif vlan=7 network-uuid=$lan', 'vlan-destroy uuid=$a'],
  'tunnel-destroy': ['tunnel-create pif-uuid=$pif network-uuid=$lan', 'tunnel-destroy uuid=$a'],
  'bond-create': [newBond, 'bond-param-list uuid=$a'],
  'bond-destroy': [newBond, 'bond-destroy uuid=$a'],
  'bond-set-mode': [newBond, 'bond-set-mode uuid=$a mode=lacp', 'bond-param-get uuid=$a param-name=properties'],
  'pif-plug': ['pif-plug uuid=$card1', 'pif-list device=eth1 params=currently-attached,network-uuid'],
  'pif-unplug': ['pif-plug uuid=$card1', 'pif-unplug uuid=$card1'],
  'pif-forget': ['pif-forget uuid=$card1'],
  'pif-introduce': ['pif-forget uuid=$card1', 'pif-introduce host-uuid=$host1 device=eth1'],
  'pif-reconfigure-ip': [
    'pif-reconfigure-ip uuid=$card1 mode=static IP=198.51.100.9 netmask=255.255.255.0',
    'pif-param-get uuid=$card1 param-name=IP',
  ],
  'pif-reconfigure-ipv6': [
    'pif-reconfigure-ipv6 uuid=$card1 mode=static IPv6=2001:db8::9/64',
    'pif-param-get uuid=$card1 param-name=IPv6',
  ],
  'pif-set-primary-address-type': ['pif-set-primary-address-type uuid=$card1 primary_address_type=IPv6'],
  'sr-create': ['sr-create name-label=new type=file device-config:location=/var/lib/new'],
  'sr-introduce': ['sr-introduce name-label=new type=file uuid=$started'],
  'sr-probe': ['sr-probe type=file device-config:location=/var/lib'],
  'sr-probe-ext': ['sr-probe-ext type=file device-config:location=/var/lib'],
  'host-forget': ['host-forget uuid=$host2'],
  'host-declare-dead': ['host-declare-dead uuid=$host2'],
  'host-shutdown': ['host-disable uuid=$host2', 'host-shutdown uuid=$host2'],
  'host-reboot': ['host-disable uuid=$host2', 'host-reboot uuid=$host2'],
  'host-set-power-on-mode': ['host-set-power-on-mode uuid=$host1 power-on-mode=wake-on-lan'],
  'host-set-hostname-live': ['host-set-hostname-live host-uuid=$host1 host-name=new'],
  'host-apply-updates': ['host-apply-updates uuid=$host1 hash=x'],
  'pool-eject': ['pool-eject host-uuid=$host2'],
  'pool-install-trusted-certificate': ['pool-install-trusted-certificate filename=f ca=true'],
  'pool-designate-new-master': ['pool-designate-new-master host-uuid=$host2'],
  'message-destroy': ['message-destroy uuid=$message'],
  'secret-destroy': ['secret-destroy uuid=$secret'],
  'vmss-create': ['vmss-create name-label=new type=snapshot frequency=daily'],
  'vmss-destroy': ['vmss-create name-label=new type=snapshot frequency=daily', 'vmss-destroy uuid=$a'],
  'appliance-destroy': ['appliance-create name-label=new', 'appliance-destroy uuid=$a'],
  'appliance-start': ['appliance-create name-label=new', 'appliance-start uuid=$a'],
  'appliance-shutdown': ['appliance-create name-label=new', 'appliance-shutdown uuid=$a'],
  'gpu-group-destroy': ['gpu-group-create name-label=new', 'gpu-group-destroy uuid=$a'],
  'blob-create': ['blob-create name=new vm-uuid=$spare'],
  'subject-add': ['subject-add subject-name=ann'],
  'subject-role-add': ['subject-add subject-name=ann', 'subject-role-add uuid=$a role-name=read-only'],
  'event-wait': ['event-wait class=vm uuid=$web'],
  'sr-destroy': ['sr-create name-label=new type=file device-config:location=/var/lib/new', 'sr-destroy uuid=$a'],
  'sr-forget': ['sr-create name-label=new type=file device-config:location=/var/lib/new', 'sr-forget uuid=$a'],
  'pbd-create': ['pbd-create host-uuid=$host2 sr-uuid=$sr device-config:location=/srv'],
  'drtask-create': ['drtask-create type=lvmoiscsi'],
  'tunnel-create': ['tunnel-create pif-uuid=$pif network-uuid=$lan'],
  'host-emergency-management-reconfigure': ['host-emergency-management-reconfigure interface=eth0'],
  'host-notify': ['host-notify type=x'],
  'repository-introduce': ['repository-introduce name-label=r binary-url=http://r source-url=http://r update=true'],
  'vm-call-plugin': ['vm-call-plugin vm-uuid=$web plugin=p fn=f'],
  'vm-call-host-plugin': ['vm-call-host-plugin vm-uuid=$web plugin=p fn=f'],
  'host-refresh-server-certificate': ['host-refresh-server-certificate host=$host1'],
  'message-destroy-all': ['message-destroy-all priority=3'],
  'vm-import': ['vm-import filename=f'],
  'template-export': ['template-export filename=f template-uuid=$template'],
  'vdi-list-changed-blocks': ['vdi-list-changed-blocks vdi-from-uuid=$vdi vdi-to-uuid=$other-vdi'],
  'user-password-change': ['user-password-change new=n'],
  'pool-certificate-uninstall': ['pool-certificate-uninstall name=c'],
};

/** The name that a command's `uuid=` goes by in the world: that of its object. */
const uuidNames: Readonly<Record<string, string>> = {
  vm: '$web',
  host: '$host1',
  sr: '$sr',
  template: '$template',
  'diagnostic-vm': '$web',
  'diagnostic-vdi': '$vdi',
  audit: '$pool',
};

function uuidFor(name: string): string {
  const parts = name.split('-');
  for (let length = parts.length; length > 0; length--) {
    const object = parts.slice(0, length).join('-');
    if (Object.hasOwn(uuidNames, object)) return uuidNames[object] ?? '';
    if (length === 1) return `$${object}`;
  }
  return '$none';
}

/** The lines that a command is tried with. */
export function linesOf(name: string): readonly string[] {
  const told = own[name];
  if (told !== undefined) return told;
  const known = knownCommands.find((each) => each.name === name);
  if (known === undefined) throw new Error(`no command ${name}`);
  const keys = known.required.map((key) => `${key}=${key === 'uuid' ? uuidFor(name) : (samples[key] ?? 'x')}`);
  const choice = known.selects === null || known.required.includes('uuid') ? [] : [`uuid=${uuidFor(known.selects)}`];
  return [[name, ...choice, ...keys].join(' ')];
}
