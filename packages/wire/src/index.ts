/** @xenolith/wire: text and bytes to values and back. XML-RPC, JSON-RPC, what `xl` prints and reads. No I/O. */
export { encodeIso9660, type DiscFile } from './iso9660.ts';
export { writeCpio, type CpioEntry } from './cpio.ts';
export { formatDateTime, parseDateTime } from './date-time.ts';
export {
  grubMainFile,
  grubOwnFile,
  planXenOption,
  type GrubFile,
  type GrubPlace,
  type GrubPlan,
  type GrubRefusal,
  type XenOption,
} from './grub/xen-option.ts';
export { encodeJsonValue, jsonEncoder, type JsonEncoder } from './json-rpc/encode-value.ts';
export {
  encodeJsonRpcRequest,
  jsonRpcFailure,
  jsonRpcSuccess,
  jsonRpcUnreadable,
  parseJsonRpcRequest,
  parseJsonRpcResponse,
  type JsonRpcRequest,
  type JsonRpcRequestHead,
  type JsonRpcResponse,
  type JsonRpcVersion,
} from './json-rpc/envelope.ts';
export { parseKernelMemoryLog, type KernelMemoryLog } from './linux/parse-kernel-log.ts';
export { parseMeminfo } from './linux/parse-meminfo.ts';
export { shellCommand, shellQuote } from './shell.ts';
export { defaultThinCliLimits, ThinCliDecoder, type ThinCliItem, type ThinCliLimits } from './thin-cli/decode.ts';
export { encodeThinCli, thinCliHello } from './thin-cli/encode.ts';
export { thinCliVersion, type ThinCliMessage } from './thin-cli/message.ts';
export { WireError, type WireErrorCode } from './wire-error.ts';
export { defaultWireLimits, type WireLimits } from './wire-limits.ts';
export type { TypedValue, WireMember, WireType } from './wire-type.ts';
export { isArray, isStruct, type WireStruct, type WireValue } from './wire-value.ts';
export { formatXlBitmap, parseXlBitmap, type XlBitmap } from './xl/bitmap.ts';
export type { XlAction, XlCpupoolConfig, XlDisk, XlDomainConfig, XlVif } from './xl/config.ts';
export { xlDomainName } from './xl/domain-name.ts';
export { formatXlConfig, formatXlCpupool, formatXlDisk, formatXlVif } from './xl/format-config.ts';
export { parseCpupoolList, parseCpupoolLists, type XlCpupool } from './xl/parse-cpupool-list.ts';
export {
  parseXlBlockList,
  parseXlNetworkList,
  type XenbusState,
  type XlBlockDevice,
  type XlNetworkDevice,
} from './xl/parse-devices.ts';
export { parseE820, type XlE820Entry, type XlE820Map, type XlE820Source } from './xl/parse-e820.ts';
export {
  parseXlInfo,
  xlNoDistance,
  type XlCpuTopology,
  type XlDeviceTopology,
  type XlInfo,
  type XlNumaNode,
} from './xl/parse-info.ts';
export {
  parseXlListLong,
  type XlDiskConfig,
  type XlDomainLong,
  type XlSchedParams,
  type XlVifConfig,
} from './xl/parse-list-long.ts';
export { parseXlList, type XlDomain, type XlDomainState, type XlShutdownReason } from './xl/parse-list.ts';
export {
  parseSchedCredit,
  parseSchedCredit2,
  parseSchedDomains,
  parseSchedRtds,
  type XlSchedCredit2Pool,
  type XlSchedCreditPool,
  type XlSchedDomain,
  type XlSchedRtdsDomain,
  type XlSchedRtdsPool,
} from './xl/parse-sched.ts';
export { parseXlNumaDump, type XlDomainPages, type XlNumaDump } from './xl/parse-numa-dump.ts';
export { parseXlUptime, type XlUptime } from './xl/parse-uptime.ts';
export { parseXlVcpuList, type XlVcpu } from './xl/parse-vcpu-list.ts';
export { parseXenLog, type XenBootLog } from './xl/parse-xen-log.ts';
export {
  parseXenstoreLs,
  type XenstoreAccess,
  type XenstoreEntry,
  type XenstorePermission,
} from './xl/parse-xenstore-ls.ts';
export {
  parseXentop,
  type XentopDomain,
  type XentopIteration,
  type XentopNetwork,
  type XentopVbd,
} from './xl/parse-xentop.ts';
export { XlConfigError } from './xl/xl-config-error.ts';
export { XlParseError } from './xl/xl-parse-error.ts';
export { readXentrace, XentraceError, type XentraceRecord } from './xentrace.ts';
export { encodeXmlAny, encodeXmlValue, xmlEncoder, type XmlEncoder } from './xml-rpc/encode-value.ts';
export { encodeXmlRpcCall, xmlRpcBare, xmlRpcFailure, xmlRpcFault, xmlRpcSuccess } from './xml-rpc/envelope.ts';
export { escapeXml } from './xml-rpc/escape.ts';
export {
  parseXmlRpcCall,
  parseXmlRpcResponse,
  parseXmlValue,
  type XmlRpcCall,
  type XmlRpcResponse,
} from './xml-rpc/parse.ts';
export { formatTarHeader, parseTarHeader, tarBlockBytes, tarEnd, tarPadding, type TarEntry } from './xva/tar.ts';
export { xxHash64 } from './xva/xxhash64.ts';
export { decodeUtf8, encodeUtf8 } from './utf8.ts';
