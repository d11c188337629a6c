import type { Bytes, DomId, Uuid } from '@xenolith/base';
import type { Allocation } from '../memory/heap.ts';

/** How a domain's virtual machine is built (`libxl_domain_type`). */
export type GuestType = 'pv' | 'pvh' | 'hvm';

/** Why a domain stopped for good (`SHUTDOWN_*` in xen/include/public/sched.h). */
export type ShutdownCode = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft-reset';

/** What a domain is made from. */
export interface DomainSpec {
  readonly uuid: Uuid;
  readonly name: string;
  readonly type: GuestType;
  /** vCPUs online at the start, at least 1. */
  readonly vcpus: number;
  /** Memory given at the start. */
  readonly memoryBytes: Bytes;
  readonly kernel?: string;
  readonly cmdline?: string;
}

/** A domain as the hypervisor sees it; whether its vCPUs run or are blocked is a matter of machine/machine.ts. */
export interface Domain {
  readonly domid: DomId;
  readonly spec: DomainSpec;
  readonly allocation: Allocation;
  /** Paused by the control domain (`controller_pause_count` > 0). */
  readonly paused: boolean;
  readonly dying: boolean;
  readonly shutdown?: ShutdownCode;
}

/** What the hypervisor tells the control domain (VIRQ_DOM_EXC and what xenstored makes of it), plus pausing. */
export interface HypervisorEvent {
  readonly kind: 'created' | 'destroyed' | 'shutdown' | 'paused' | 'unpaused' | 'renamed';
  readonly domid: DomId;
}
