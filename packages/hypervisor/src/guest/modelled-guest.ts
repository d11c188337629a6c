import type { Clock, Disposable } from '@xenolith/base';
import type { DomainSpec, ShutdownCode } from '../domain/domain.ts';
import type { ConsoleRing } from '../ring/console-ring.ts';
import { consoleText } from '../ring/console-text.ts';
import { PausableTimer } from './pausable-timer.ts';

/**
 * How long a modelled guest takes, in milliseconds of its own running time. These are fixed for the model, not
 * measured from anything.
 */
export const guestTimesMs = { boot: 2000, answer: 1000 } as const;

/** What a toolstack may write to `control/shutdown` in xenstore. */
export type ControlRequest = 'poweroff' | 'reboot';

/**
 * The operating system inside a modelled domain: boots in {@link guestTimesMs}.boot, prints plain text that says
 * that it is the model's, and answers a request {@link guestTimesMs}.answer later. A request made while it boots
 * is answered after the boot. The CPU time of its vCPUs is that of the work they are given (guest/workload/guest-work.ts).
 */
export class ModelledGuest {
  readonly #spec: DomainSpec;
  readonly #console: ConsoleRing;
  readonly #timer: PausableTimer;
  readonly #stop: (code: ShutdownCode) => void;
  readonly #input: Disposable;
  #up = false;
  #request: ControlRequest | undefined;

  /**
   * @param options.held time stands still until {@link resume}.
   * @param options.booted the guest comes from a saved state and is up already.
   * @param options.stop the guest's own `SCHEDOP_shutdown`.
   */
  constructor(
    spec: DomainSpec,
    clock: Clock,
    console: ConsoleRing,
    options: { readonly held: boolean; readonly booted: boolean; readonly stop: (code: ShutdownCode) => void },
  ) {
    this.#spec = spec;
    this.#console = console;
    this.#stop = options.stop;
    this.#timer = new PausableTimer(clock, options.held);
    this.#input = console.onInput((data) => this.#typed(data));
    if (options.booted) {
      this.#up = true;
      this.#print('[model] resumed from a saved state');
    } else {
      this.#print(`[model] modelled ${spec.type} guest, ${spec.vcpus} vCPUs, ${spec.memoryBytes / 1024} KiB`);
      this.#print(`[model] command line: ${spec.cmdline ?? '(none)'}`);
      this.#timer.set(guestTimesMs.boot, () => this.#finishBoot());
    }
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** The toolstack asks; a later request takes the place of an earlier one that is not answered yet. */
  request(request: ControlRequest): void {
    this.#request = request;
    if (this.#up) this.#answer();
  }

  /** The domain was paused. */
  hold(): void {
    this.#timer.hold();
  }

  /** The domain runs again. */
  resume(): void {
    this.#timer.resume();
  }

  /** The domain is gone. */
  end(): void {
    this.#timer.cancel();
    this.#input.dispose();
  }

  #finishBoot(): void {
    this.#up = true;
    this.#print(`[model] ${this.#spec.name}: up`);
    if (this.#request !== undefined) this.#answer();
  }

  #answer(): void {
    this.#timer.set(guestTimesMs.answer, () => {
      const request = this.#request;
      if (request === undefined) return;
      this.#print(`[model] ${request}`);
      this.#stop(request);
    });
  }

  #typed(data: Uint8Array): void {
    this.#console.print(data);
    if (data.includes(0x0d) || data.includes(0x0a)) this.#print('\r\n[model] no shell runs behind this console');
  }

  #print(line: string): void {
    this.#console.print(consoleText(`${line}\r\n`));
  }
}
