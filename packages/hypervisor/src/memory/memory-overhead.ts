/** What a domain costs beyond its own memory, as the toolstacks reckon it. */
import type { XenVersion } from '../schedule/scheduler.ts';

export type OverheadDomainType = 'pv' | 'hvm' | 'pvh';

/** A domain as libxl sees it; sizes in KiB. */
export interface LibxlDomain {
  readonly type: OverheadDomainType;
  readonly vcpus: number;
  readonly targetKib: number;
  readonly maximumKib: number;
  /** Whether its paging is done by hardware. */
  readonly hasHap?: boolean;
  /** Tables of the IOMMU; none where nothing is passed through. */
  readonly iommuKib?: number;
  /** Stub domain and video memory, where there are some. */
  readonly extraKib?: number;
}

/**
 * libxl's shadow or paging memory, in KiB: 256 pages a vCPU, and a page for each MiB for the physical map, if it has
 * one, and another for shadows without HAP (`libxl__get_required_paging_memory`; `libxl_get_required_shadow_memory`
 * of 4.2 counts both always).
 */
export function libxlShadowKib(domain: LibxlDomain, xenVersion: XenVersion = '4.23'): number {
  const { type, vcpus, maximumKib, hasHap = true } = domain;
  const perMib = xenVersion === '4.2' ? 2 : Number(type !== 'pv') + Number(!hasHap);
  return 4 * (256 * vcpus + perMib * Math.floor(maximumKib / 1024));
}

const libxlRoundKib = 2048;
const libxlExtraKib: Readonly<Record<OverheadDomainType, number>> = { pv: 1024, hvm: 2048, pvh: 2048 };

/** What libxl wants to be free for a domain, in KiB (`libxl_domain_need_memory`). */
export function libxlNeedKib(domain: LibxlDomain, xenVersion: XenVersion = '4.23'): number {
  const { type, targetKib, iommuKib = 0, extraKib = 0 } = domain;
  const need = targetKib + libxlShadowKib(domain, xenVersion) + iommuKib + libxlExtraKib[type] + extraKib;
  return Math.ceil(need / libxlRoundKib) * libxlRoundKib;
}

/** The maximum reservation that libxl sets, in KiB (`LIBXL_MAXMEM_CONSTANT`). */
export const libxlXenMaximumKib = (maximumKib: number): number => maximumKib + 1024;

/** libxl does not set dom0's target below this (`LIBXL_MIN_DOM0_MEM`). */
export const libxlDom0MinimumKib = 128 * 1024;

/** A VM as xapi reckons it; sizes in MiB. */
export interface XapiDomain {
  readonly type: OverheadDomainType;
  readonly vcpus: number;
  readonly staticMaxMib: number;
  readonly targetMib: number;
  /** `HVM_shadow_multiplier`; 1 where absent. */
  readonly shadowMultiplier?: number;
  /** A PV guest inside of a PVH shim. */
  readonly hasPvShim?: boolean;
}

/** What xapi makes of it, all in MiB. */
export interface XapiMemory {
  readonly shadowMib: number;
  /** `VM.memory_overhead`. */
  readonly overheadMib: number;
  /** What starts it: target and overhead. */
  readonly footprintMib: number;
  /** The maximum reservation. */
  readonly xenMaximumMib: number;
}

const mibOfPages = (pages: number): number => Math.ceil(pages / 256);
/** Xen's own for a vCPU. */
const vcpuPages = 38;
const externalMib = 1;

/** xapi's memory model (`Memory` in ocaml/xapi-idl/memory/memory.ml; xenopsd builds domains by it). */
export function xapiMemory(domain: XapiDomain): XapiMemory {
  const { type, vcpus, staticMaxMib, targetMib, shadowMultiplier = 1, hasPvShim = false } = domain;
  const shadowMib = Math.max(1, Math.trunc(mibOfPages(256 * vcpus + 2 * staticMaxMib) * shadowMultiplier));
  const shimMib = hasPvShim ? 23 + Math.trunc(staticMaxMib / 90) : 0;
  const internalMib = (type === 'pv' ? 0 : 1) + shimMib;
  const overheadMib = internalMib + externalMib + shadowMib + mibOfPages(vcpuPages * vcpus);
  return {
    shadowMib,
    overheadMib,
    footprintMib: targetMib + overheadMib,
    xenMaximumMib: staticMaxMib + internalMib,
  };
}
