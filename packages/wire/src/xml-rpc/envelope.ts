import { encodeXmlAny } from './encode-value.ts';
import { escapeXml } from './escape.ts';

const prolog = '<?xml version="1.0"?>';

const response = (valueXml: string): string =>
  `${prolog}<methodResponse><params><param>${valueXml}</param></params></methodResponse>`;

/** The answer to a call that succeeded: a struct of Status and Value (PROTOCOL.md §2). `valueXml` is a `<value>` element. */
export const xmlRpcSuccess = (valueXml: string): string =>
  response(
    `<value><struct><member><name>Status</name><value>Success</value></member><member><name>Value</name>${valueXml}</member></struct></value>`,
  );

/** The answer to a call that was refused: `errorDescription` is the code and its parameters (PROTOCOL.md §2). */
export function xmlRpcFailure(errorDescription: readonly string[]): string {
  const words = errorDescription.map((word) => `<value>${escapeXml(word)}</value>`).join('');
  return response(
    `<value><struct><member><name>Status</name><value>Failure</value></member><member><name>ErrorDescription</name>` +
      `<value><array><data>${words}</data></array></value></member></struct></value>`,
  );
}

/** An answer without the Status envelope: `system.listMethods` alone (PROTOCOL.md §2). `valueXml` is a `<value>` element. */
export const xmlRpcBare = (valueXml: string): string => response(valueXml);

/** An XML-RPC fault. XenAPI never answers an API error this way: only a request that is no call at all gets one. */
export const xmlRpcFault = (faultCode: number, faultString: string): string =>
  `${prolog}<methodResponse><fault>${encodeXmlAny({ faultCode, faultString })}</fault></methodResponse>`;

/** A call as a client sends it, its parameters encoded as `encodeXmlAny` does. */
export function encodeXmlRpcCall(method: string, params: readonly unknown[]): string {
  const list = params.map((param) => `<param>${encodeXmlAny(param)}</param>`).join('');
  return `${prolog}<methodCall><methodName>${escapeXml(method)}</methodName><params>${list}</params></methodCall>`;
}
