import {
  BallooningHost,
  cooperative,
  proportion,
  slow,
  Squeeze,
  type BalloonBehaviour,
  type BallooningDomain,
} from '@xenolith/hypervisor';
import { median, spread, type Bench } from './bench.ts';

const mibKib = 1024;

/** A host of so many VMs, each with a range of its own; every behaviour is there. */
function host(vms: number): BallooningHost {
  const domains = Array.from({ length: vms }, (_, index): BallooningDomain => {
    const dynamicMinKib = (256 + (index % 7) * 64) * mibKib;
    const dynamicMaxKib = dynamicMinKib * 2;
    const behaviour: BalloonBehaviour =
      index % 100 === 99
        ? { kind: 'stuck' }
        : index % 100 === 98
          ? { kind: 'no-driver' }
          : index % 10 === 0
            ? slow
            : cooperative;
    return {
      domid: index + 1,
      dynamicMinKib,
      dynamicMaxKib,
      targetKib: dynamicMaxKib,
      actualKib: dynamicMaxKib,
      behaviour,
    };
  });
  return new BallooningHost(72 * mibKib, domains);
}

/** What squeezed has to think for a start on a full host. */
export const squeeze: Bench = {
  name: 'squeeze',
  what: 'one round of a squeeze over the VMs of a host: who is stuck, who is to have how much; and the whole squeeze, with guests that move',
  bar: { text: 'a round over 1,000 VMs below 5 ms', holds: (figureMs) => figureMs < 5 },
  run: (size) => {
    const [vms, rounds] = size === 'full' ? [1000, 200] : [20, 2];
    const wantedKib = vms * 64 * mibKib;
    const times: number[] = [];
    const wholes: number[] = [];
    let roundsOfSqueeze = 0;
    for (let run = 0; run < rounds; run++) {
      const of = host(vms);
      const squeezing = new Squeeze({ wantedKib });
      const begin = performance.now();
      const { actions } = squeezing.round(of, of.nowMs);
      times.push(performance.now() - begin);
      of.apply(actions);
    }
    for (let run = 0; run < Math.max(1, rounds / 20); run++) {
      const of = host(vms);
      roundsOfSqueeze = 0;
      const begin = performance.now();
      of.squeeze(new Squeeze({ wantedKib }), () => roundsOfSqueeze++);
      wholes.push(performance.now() - begin);
    }
    const active = host(vms).domains;
    const begin = performance.now();
    for (let run = 0; run < rounds; run++) proportion(active, 0, wantedKib);
    const policyMs = (performance.now() - begin) / rounds;
    return Promise.resolve({
      lines: [
        `${vms} VMs, a round: ${spread(times, 3)} ms`,
        `${vms} VMs, the policy alone: ${policyMs.toFixed(3)} ms`,
        `${vms} VMs, a whole squeeze of ${roundsOfSqueeze} rounds with its model of guests: ${spread(wholes, 2)} ms`,
      ],
      figure: median(times),
      unit: 'ms',
    });
  },
};
