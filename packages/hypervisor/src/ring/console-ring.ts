import { Signal, type Disposable } from '@xenolith/base';

/** How much of a console's past is kept for who looks later; older output is lost. */
export const consoleBacklogBytes = 64 * 1024;

/**
 * A domain's console, both ways: what the guest printed is kept up to {@link consoleBacklogBytes}, as xenconsoled
 * does, and told to who listens; what is typed goes to the guest.
 */
export class ConsoleRing {
  readonly #output = new Signal<Uint8Array>();
  readonly #input = new Signal<Uint8Array>();
  #backlog = new Uint8Array(0);

  /** The guest prints. */
  print(data: Uint8Array): void {
    const joined = new Uint8Array(this.#backlog.length + data.length);
    joined.set(this.#backlog);
    joined.set(data, this.#backlog.length);
    this.#backlog = joined.slice(Math.max(0, joined.length - consoleBacklogBytes));
    this.#output.emit(data);
  }

  /** Somebody types. */
  type(data: Uint8Array): void {
    this.#input.emit(data);
  }

  /** What was printed so far, the last {@link consoleBacklogBytes} of it. */
  backlog(): Uint8Array {
    return this.#backlog.slice();
  }

  onOutput(listener: (data: Uint8Array) => void): Disposable {
    return this.#output.listen(listener);
  }

  onInput(listener: (data: Uint8Array) => void): Disposable {
    return this.#input.listen(listener);
  }
}
