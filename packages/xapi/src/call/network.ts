/** Calls of networks. XAPI: ocaml/xapi/xapi_network.ml. */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { bringUp, bringUpFor, removeUnused } from '../network/bridges.ts';
import { assertLocksVifs, assertNobodyOn } from '../network/locking.ts';
import { assertMtu } from '../vm/mtu.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';

/** The longest name of an interface in Linux (IFNAMSIZ - 1). */
const bridgePattern = /^(?!\.\.?$)[A-Za-z0-9_.-]{1,15}$/;

type NewNetwork = Partial<RecordOf<'network'>>;

/** @throws XapiError INVALID_VALUE, BRIDGE_NAME_EXISTS */
function createNetwork({ db }: Xapi, fields: NewNetwork): Ref<'network'> {
  const bridges = new Set([...db.all('network')].map(([, network]) => network.bridge));
  const { bridge: given = '', MTU } = fields;
  if (MTU !== undefined) assertMtu(MTU);
  if (given !== '' && !bridgePattern.test(given)) throw new XapiError('INVALID_VALUE', 'bridge', given);
  if (bridges.has(given)) throw new XapiError('BRIDGE_NAME_EXISTS', given);
  let index = 0;
  while (bridges.has(`xapi${index}`)) index++;
  return db.create('network', { ...fields, bridge: given === '' ? `xapi${index}` : given });
}

export const networkCalls = {
  create: ({ xapi }, { args }) => createNetwork(xapi, { ...args, managed: args.managed ?? true }),
  pool_introduce: ({ xapi }, args) => createNetwork(xapi, args),
  destroy: ({ xapi }, { self }) => {
    const { VIFs, PIFs } = xapi.db.get('network', self);
    if (VIFs.length > 0) throw new XapiError('NETWORK_CONTAINS_VIF', ...VIFs);
    if (PIFs.length > 0) throw new XapiError('NETWORK_CONTAINS_PIF', ...PIFs);
    xapi.db.destroy('network', self);
    for (const host of xapi.db.refs('host')) removeUnused(xapi, host);
  },
  set_MTU: ({ xapi }, { self, value }) => {
    xapi.db.get('network', self);
    assertMtu(value);
    xapi.db.update('network', self, { MTU: value });
  },
  attach: ({ xapi }, { network, host }) => {
    xapi.db.get('host', host);
    return bringUp(xapi, host, network);
  },
  attach_for_vm: ({ xapi }, { host, vm }) => bringUpFor(xapi, vm, host),
  detach_for_vm: ({ xapi }, { host, vm }) => {
    xapi.db.get('VM', vm);
    removeUnused(xapi, host);
  },
  set_default_locking_mode: ({ xapi }, { network, value }) => {
    xapi.db.get('network', network);
    if (value === 'disabled') {
      assertLocksVifs(xapi, 'network.set_default_locking_mode');
      assertNobodyOn(xapi, network);
    }
    xapi.db.update('network', network, { default_locking_mode: value });
  },
  add_purpose: ({ xapi }, { self, value }) => {
    const { purpose } = xapi.db.get('network', self);
    const conflict = purpose.find((other) => other !== value);
    if (conflict !== undefined) throw new XapiError('NETWORK_INCOMPATIBLE_PURPOSES', value, conflict);
    xapi.db.update('network', self, { purpose: [value] });
  },
  remove_purpose: ({ xapi }, { self, value }) => {
    const { purpose } = xapi.db.get('network', self);
    xapi.db.update('network', self, { purpose: purpose.filter((other) => other !== value) });
  },
} as const satisfies CallsOf<'network'>;
