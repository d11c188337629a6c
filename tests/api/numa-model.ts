/** A control plane in this process over one modelled host with two nodes of four pCPUs, and a connection as the programs have one. */
import { ManualClock } from '@xenolith/base';
import { defaultModelShape, ModelDriver, ModelHost } from '@xenolith/host';
import { isStruct, type WireValue } from '@xenolith/wire';
import { ApiError, textOf, type Rpc } from '@xenolith/xe';
import { OpenPool } from '../../packages/xapi/src/testing/open-pool.ts';

export interface NumaModel {
  readonly pool: OpenPool;
  readonly machine: ModelHost;
  readonly rpc: Rpc;
  /** A halted VM from the first template; its reference. */
  newVm(name: string): Promise<string>;
}

export async function startNumaModel(): Promise<NumaModel> {
  const clock = new ManualClock();
  const machine = new ModelHost(defaultModelShape, 1, clock);
  const pool = await OpenPool.start({ clock, openHost: () => new ModelDriver(machine) });
  await pool.call('host.add', 'model:', {});
  await clock.advanceAsync(0);
  const rpc: Rpc = {
    async call(method, ...params) {
      const answer = await pool.raw(method, pool.session, ...params);
      if (!answer.ok) throw new ApiError(answer.error);
      return answer.value as WireValue;
    },
  };
  const newVm = async (name: string): Promise<string> => {
    const all = await rpc.call('VM.get_all_records');
    const [template = ''] =
      Object.entries(isStruct(all) ? all : {}).find(([, vm]) => isStruct(vm) && vm['is_default_template'] === true) ??
      [];
    const vm = textOf(await rpc.call('VM.clone', template, name));
    await rpc.call('VM.provision', vm);
    return vm;
  };
  return { pool, machine, rpc, newVm };
}
