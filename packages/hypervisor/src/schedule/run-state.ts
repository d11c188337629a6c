/** Run states of a vCPU (`RUNSTATE_*`, xen/include/public/vcpu.h). */
export const runState = { running: 0, runnable: 1, blocked: 2, offline: 3 } as const;

/** Why a vCPU cannot run (`VPF_*`, xen/include/xen/sched.h); none set, and no pause count, is runnable. */
export const pauseFlag = { blocked: 1, down: 2, migrating: 4, parked: 8 } as const;

/** Error numbers that Xen's scheduling gives, negative as hypercalls return them. */
export const errno = {
  perm: -1,
  noEntry: -2,
  noSuchDomain: -3,
  again: -11,
  noMemory: -12,
  busy: -16,
  exists: -17,
  noDevice: -19,
  invalid: -22,
  noSpace: -28,
  addressInUse: -98,
  addressNotAvailable: -99,
} as const;
