/** Keeps the beginning of a stream up to a limit, and says when there was more. */
export class HeadBuffer {
  readonly #limitBytes: number;
  readonly #parts: Uint8Array[] = [];
  #size = 0;
  overflowed = false;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  add(data: Uint8Array): void {
    if (this.#size + data.length > this.#limitBytes) {
      this.overflowed = true;
      return;
    }
    this.#parts.push(data);
    this.#size += data.length;
  }

  text(): string {
    return new TextDecoder().decode(Buffer.concat(this.#parts));
  }
}

/** Keeps the end of a stream, `limitBytes` of it at most. */
export class TailBuffer {
  readonly #limitBytes: number;
  #held = Buffer.alloc(0);

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  add(data: Uint8Array): void {
    const joined = Buffer.concat([this.#held, data]);
    this.#held = joined.subarray(Math.max(0, joined.length - this.#limitBytes));
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#held);
  }

  text(): string {
    return new TextDecoder().decode(this.#held);
  }
}
