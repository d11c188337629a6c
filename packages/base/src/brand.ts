/**
 * Nominal types for ids and units: a plain value at run time, a type of its own to the checker.
 * Names follow Xen's and XenAPI's words (domid, vcpu, pcpu, node, uuid, ref).
 */
declare const brand: unique symbol;

/** A value of type `T` that only counts as a `B`. */
export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Number of a running domain in the hypervisor (`domid_t`), 0 … 32751; 0 is the control domain. */
export type DomId = Brand<number, 'DomId'>;
/** Number of a virtual CPU inside its domain, from 0. */
export type VcpuId = Brand<number, 'VcpuId'>;
/** Number of a physical CPU, as Xen numbers them, from 0. */
export type PcpuId = Brand<number, 'PcpuId'>;
/** Number of a NUMA node, from 0. */
export type NodeId = Brand<number, 'NodeId'>;
/** Nanoseconds of (virtual or monotonic) time; exact to 2^53. */
export type Ns = Brand<number, 'Ns'>;
/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = Brand<number, 'EpochMs'>;
/** A number of bytes, exact to 2^53. */
export type Bytes = Brand<number, 'Bytes'>;
/** A UUID in lower-case hexadecimal with dashes. */
export type Uuid = Brand<string, 'Uuid'>;
/** A XenAPI reference to an object of class `C`: `OpaqueRef:<uuid>`, or `OpaqueRef:NULL`. */
export type Ref<C extends string = string> = Brand<string, `Ref<${C}>`>;

export const domId = (n: number): DomId => n as DomId;
export const vcpuId = (n: number): VcpuId => n as VcpuId;
export const pcpuId = (n: number): PcpuId => n as PcpuId;
export const nodeId = (n: number): NodeId => n as NodeId;
export const ns = (n: number): Ns => n as Ns;
export const epochMs = (n: number): EpochMs => n as EpochMs;
export const bytes = (n: number): Bytes => n as Bytes;
export const uuid = (text: string): Uuid => text as Uuid;
export const ref = <C extends string>(text: string): Ref<C> => text as Ref<C>;

/** The null reference, as XAPI spells it (`Ref.null` in xapi-types/ref.ml). */
export const nullRef = <C extends string>(): Ref<C> => 'OpaqueRef:NULL' as Ref<C>;

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether a text is a UUID in the canonical lower-case form. */
export const isUuid = (text: string): text is Uuid => uuidPattern.test(text);
