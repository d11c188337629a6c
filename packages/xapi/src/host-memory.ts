/**
 * What the control plane asks of a host about the memory of its running domains: the part of {@link HostDriver} that
 * `xl mem-set` and the counters behind it are. Sources: tools/libs/light/libxl_mem.c, tools/xl/xl_mem.c,
 * drivers/xen/balloon.c of Linux.
 */
import type { Bytes } from '@xenolith/base';
import type { DomainIdentity } from './host-driver.ts';

/** A domain's memory as the host has it now. */
export interface DomainMemory extends DomainIdentity {
  /** What it has in Xen (`tot_pages`). */
  readonly actualBytes: Bytes;
  /** What its balloon driver was told last (xenstore's `memory/target`). */
  readonly targetBytes: Bytes;
  /** The most that it may be told (`memory/static-max`). */
  readonly maximumBytes: Bytes;
  /**
   * Its kernel is up and has a balloon driver, or says nothing that speaks against it: guest tools write
   * `control/feature-balloon`, a bare Linux only what it has from its Xen drivers (`control/feature-poweroff`).
   */
  readonly hasBalloonDriver: boolean;
  /** An agent in it has written to xenstore (`data/updated`). */
  readonly hasAgent: boolean;
}

/** The memory of a host at a moment. */
export interface MemoryStates {
  /** What Xen has free. Real hosts tell it in whole MiB, rounded down. */
  readonly freeBytes: Bytes;
  /** Domain-0 is one of them. A domain that is just being made or ended may be missing. */
  readonly domains: readonly DomainMemory[];
}

/** No target is below this: a guest of today does not live with less, and one that is told 0 dies. */
export const leastTargetBytes = (32 * 2 ** 20) as Bytes;

/** Balloons of a host. A refusal is a {@link HostError}, and nothing is changed then. */
export interface HostMemory {
  /** Every domain and what is free, in one look. */
  states(): Promise<MemoryStates>;
  /**
   * Tells a domain's balloon driver how much it is to have, whole KiB, and bounds its reservation by that. Resolves when
   * it is told, not when it is there; {@link states} tells how far it has come, if it moves at all. Domain-0 is left alone.
   * @throws HostError bad-config below {@link leastTargetBytes} or above the domain's maximum
   */
  setTarget(domain: DomainIdentity, targetBytes: Bytes): Promise<void>;
}
