import { disposable, Signal, type Disposable } from '@xenolith/base';
import { HostError, type DomainIdentity, type HostConsole } from '@xenolith/xapi';
import { consoleScript, scriptHead } from './host-script.ts';
import { TailBuffer } from './output-buffer.ts';
import type { Channel, Transport } from './transport.ts';

/** Earlier output that is kept of a domain's console. */
const backlogLimitBytes = 64 * 1024;
/** Consoles of one domain open at a time. */
const openLimit = 32;
/** What `xl console` takes for its own: it would leave the console. */
const escapeByte = 0x1d;

interface Line {
  readonly domain: DomainIdentity;
  readonly backlog: TailBuffer;
  readonly open: Set<() => void>;
  readonly output: Signal<Uint8Array>;
  readonly hungUp: WeakSet<Channel>;
  channel: Promise<Channel> | undefined;
  /** Until the last `xl console` is gone: a second one beside it would be turned away, or take its output. */
  ending: Promise<void>;
}

/**
 * The text consoles of a host's domains. xenconsoled hands each byte to one reader only, so all who watch a domain share one
 * `xl console`, and what it said is kept for who comes later.
 */
export class XlConsoles {
  readonly #transport: Transport;
  readonly #lines = new Map<string, Line>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async open(domain: DomainIdentity): Promise<HostConsole> {
    let line = this.#lines.get(keyOf(domain));
    if (line === undefined) {
      line = {
        domain,
        backlog: new TailBuffer(backlogLimitBytes),
        open: new Set(),
        output: new Signal(),
        hungUp: new WeakSet(),
        channel: undefined,
        ending: Promise.resolve(),
      };
      this.#lines.set(keyOf(domain), line);
    }
    if (line.open.size >= openLimit) {
      throw new HostError('command-failed', `${openLimit} consoles of domain ${domain.domid} are open already`);
    }
    const closed = new Signal<void>();
    let isOpen = true;
    const shut = (): void => {
      if (!isOpen) return;
      isOpen = false;
      closed.emit();
    };
    const place = line;
    place.open.add(shut);
    let channel: Channel;
    try {
      place.channel ??= this.#start(place);
      channel = await place.channel;
    } catch (error) {
      place.open.delete(shut);
      place.channel = undefined;
      throw error;
    }
    return {
      write(data) {
        if (isOpen) channel.write(data.filter((byte) => byte !== escapeByte));
      },
      onData: (listener) => (isOpen ? listenWithBacklog(place, listener) : disposable(() => undefined)),
      onClose: (listener) => closed.listen(listener),
      close: () => {
        shut();
        this.#leave(place, shut);
      },
    };
  }

  /** Forgets what domains said that are no longer there. */
  keepOnly(isThere: (domain: DomainIdentity) => boolean): void {
    for (const [key, line] of this.#lines) {
      if (!isThere(line.domain) && line.open.size === 0) this.#lines.delete(key);
    }
  }

  /** Closes all, as when the connection is gone. */
  closeAll(): void {
    for (const line of this.#lines.values()) {
      hangUp(line);
      const open = [...line.open];
      line.open.clear();
      for (const shut of open) shut();
    }
    this.#lines.clear();
  }

  async #start(line: Line): Promise<Channel> {
    await line.ending;
    const channel = await this.#transport.start(scriptHead + consoleScript(line.domain), { terminal: true });
    line.ending = new Promise((resolve) => {
      channel.onData((data) => {
        line.backlog.add(data);
        line.output.emit(data);
      });
      channel.onClose(() => {
        resolve();
        // When somebody still watches, it was the domain or the connection that ended it.
        const open = [...line.open];
        if (open.length === 0 || line.hungUp.has(channel)) return;
        line.channel = undefined;
        line.open.clear();
        for (const shut of open) shut();
      });
    });
    return channel;
  }

  #leave(line: Line, shut: () => void): void {
    if (line.open.delete(shut) && line.open.size === 0) hangUp(line);
  }
}

const keyOf = ({ domid, uuid }: DomainIdentity): string => `${domid}/${uuid}`;

function hangUp(line: Line): void {
  const channel = line.channel;
  line.channel = undefined;
  const end = async (): Promise<void> => {
    const open = await channel;
    if (open === undefined) return;
    line.hungUp.add(open);
    open.close();
  };
  // One that never began has told so whoever wanted it.
  end().catch(() => undefined);
}

/** What was said before comes first, then what is said from now on. */
function listenWithBacklog(line: Line, listener: (data: Uint8Array) => void): Disposable {
  const before = line.backlog.bytes();
  let live = true;
  if (before.length > 0) queueMicrotask(() => live && listener(before));
  const subscription = line.output.listen((data) => queueMicrotask(() => live && listener(data)));
  return disposable(() => {
    live = false;
    subscription.dispose();
  });
}
