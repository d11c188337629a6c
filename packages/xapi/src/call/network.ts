/** Calls of networks. XAPI: ocaml/xapi/xapi_network.ml. */
import { XapiError } from '../errors.ts';
import { assertMtu } from '../vm/mtu.ts';
import type { CallsOf } from './call.ts';

/** The longest name of an interface in Linux (IFNAMSIZ - 1). */
const bridgePattern = /^(?!\.\.?$)[A-Za-z0-9_.-]{1,15}$/;

export const networkCalls = {
  create: ({ xapi }, { args }) => {
    const { db } = xapi;
    const bridges = new Set([...db.all('network')].map(([, network]) => network.bridge));
    const { bridge: given = '', MTU } = args;
    if (MTU !== undefined) assertMtu(MTU);
    if (given !== '' && !bridgePattern.test(given)) throw new XapiError('INVALID_VALUE', 'bridge', given);
    let index = 0;
    while (bridges.has(`xapi${index}`)) index++;
    return db.create('network', { ...args, bridge: given === '' ? `xapi${index}` : given, managed: true });
  },
  destroy: ({ xapi }, { self }) => {
    const { VIFs, PIFs } = xapi.db.get('network', self);
    if (VIFs.length > 0) throw new XapiError('NETWORK_CONTAINS_VIF', ...VIFs);
    if (PIFs.length > 0) throw new XapiError('NETWORK_CONTAINS_PIF', ...PIFs);
    xapi.db.destroy('network', self);
  },
  set_MTU: ({ xapi }, { self, value }) => {
    xapi.db.get('network', self);
    assertMtu(value);
    xapi.db.update('network', self, { MTU: value });
  },
} as const satisfies CallsOf<'network'>;
