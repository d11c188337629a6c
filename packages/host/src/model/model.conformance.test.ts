import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bytes, gibBytes, ManualClock, SeededRandom } from '@xenolith/base';
import { guestFiles } from '../bootable-guests.ts';
import { describeHostDriver } from '../conformance.ts';
import { defaultModelShape } from '../host-address.ts';
import { ModelDriver } from './model-driver.ts';
import { ModelHost } from './model-host.ts';

/** Steps of virtual time that the harness takes while it waits: a hundred seconds in all. */
const stepMs = 100;
const steps = 1000;

describeHostDriver(
  'the model',
  async () => {
    const programs = await mkdtemp(join(tmpdir(), 'xenolith-programs-'));
    const clock = new ManualClock();
    const host = new ModelHost({ ...defaultModelShape, memoryBytes: bytes(4 * gibBytes), networkCards: 4 }, 1, clock);
    return {
      driver: new ModelDriver(host, programs),
      byHand: {
        create: (config) => Promise.resolve(void host.create(config, { paused: false })),
        pause: (domid) => Promise.resolve(host.hypervisor.pause(domid)),
        unpause: (domid) => Promise.resolve(host.hypervisor.unpause(domid)),
        destroy: (domid) => Promise.resolve(host.destroy(domid)),
      },
      directory: '/srv/conformance',
      guest: { ...guestFiles, cmdline: 'console=hvc0' },
      upText: ': up',
      memoryMib: 128,
      random: new SeededRandom(1),
      until: async (what, condition) => {
        for (let step = 0; step < steps; step++) {
          await clock.advanceAsync(0);
          const value = condition();
          if (value !== undefined) return value;
          await clock.advanceAsync(stepMs);
        }
        throw new Error(`waited in vain for ${what}`);
      },
      programs: {
        install: async (path, text, mode) => {
          await mkdir(dirname(join(programs, path)), { recursive: true });
          await writeFile(join(programs, path), text);
          await chmod(join(programs, path), mode);
        },
        remove: (directory) => rm(join(programs, directory), { recursive: true }),
      },
      close: () => rm(programs, { recursive: true, force: true }),
    };
  },
  { types: ['pv', 'pvh'], absentScheduler: 'sedf', spareCards: ['eth1', 'eth2', 'eth3'], timeoutMs: 10_000 },
);
