import { disposable, type Disposable } from './disposable.ts';

/** A bell with a value: everybody who listens hears every ring, in the order of listening. */
export class Signal<T> {
  readonly #listeners = new Set<(value: T) => void>();

  /** Calls `listener` at each {@link emit} until disposed. */
  listen(listener: (value: T) => void): Disposable {
    this.#listeners.add(listener);
    return disposable(() => {
      this.#listeners.delete(listener);
    });
  }

  /** Rings. A listener added or removed meanwhile counts from the next ring. */
  emit(value: T): void {
    for (const listener of Array.from(this.#listeners)) listener(value);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }
}
