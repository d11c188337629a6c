/**
 * Executables of a host's administrator: plugins, which a call names, and extensions, which are calls themselves.
 * XAPI: ocaml/xapi/xapi_plugins.ml, xapi_extensions.ml; how they speak is what Python's XenAPIPlugin.py expects.
 */
import type { Ref } from '@xenolith/base';
import {
  encodeXmlAny,
  encodeXmlRpcCall,
  isStruct,
  parseJsonRpcRequest,
  parseXmlRpcCall,
  parseXmlRpcResponse,
  WireError,
  type WireValue,
  type XmlRpcResponse,
} from '@xenolith/wire';
import { XapiError } from '../errors.ts';
import { HostError } from '../host-driver.ts';
import { hostRefusal } from '../host-error.ts';
import type { HostProgram, ProgramEnd } from '../host-system.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';

/** A plugin that takes longer is ended. Some look for updates, or copy disks. */
const timeLimitMs = 60 * 60 * 1000;
/** Of an output that makes no sense, this much is told. */
const wordsMax = 4096;

const shortened = (text: string): string => (text.length > wordsMax ? `${text.slice(0, wordsMax)}…` : text);

/** Whether its own word for a failure is a code: as XAPI has it, whatever a plugin says reaches the client. */
class ProgramFailure extends XapiError {
  readonly words: readonly string[];

  constructor(words: readonly string[]) {
    super('XENAPI_PLUGIN_FAILURE', ...words);
    this.words = words;
  }

  override get description(): readonly string[] {
    return this.words;
  }
}

type Fail = (status: string, stdout: string, stderr: string) => XapiError;

/** What an executable answered: the value of an XML-RPC response of XenAPI's form. @throws XapiError as `fail` makes it */
function answerOf(end: ProgramEnd, fail: Fail): WireValue {
  const { stdout, stderr } = end;
  if (end.timedOut) throw fail('time limit exceeded', shortened(stdout), stderr);
  if (end.exitCode !== 0) throw fail('non-zero exit', shortened(stdout), stderr);
  let response: XmlRpcResponse;
  try {
    response = parseXmlRpcResponse(stdout.trim());
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw fail('failed to parse plugin output', shortened(stdout), error.message);
  }
  if (response.kind === 'fault') throw fail('fault', String(response.faultCode), response.faultString);
  const answer = response.value;
  if (isStruct(answer) && answer['Status'] === 'Success' && answer['Value'] !== undefined) return answer['Value'];
  if (isStruct(answer) && answer['Status'] === 'Failure' && Array.isArray(answer['ErrorDescription'])) {
    const words = (answer['ErrorDescription'] as readonly WireValue[]).map((word) =>
      typeof word === 'string' ? word : JSON.stringify(word),
    );
    if (words.length > 0) throw new ProgramFailure(words);
  }
  throw fail('unexpected XMLRPC result', shortened(stdout), stderr);
}

/** Runs an executable of a host. @throws XapiError HOST_OFFLINE, CANNOT_CONTACT_HOST, or what `fail` makes of it */
async function run(
  xapi: Xapi,
  host: Ref<'host'>,
  program: Omit<HostProgram, 'timeLimitMs'>,
  fail: Fail,
): Promise<ProgramEnd | undefined> {
  xapi.db.get('host', host);
  try {
    return await xapi.hosts.driverOf(host).system.run({ ...program, timeLimitMs });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (error.code === 'command-failed' || error.code === 'bad-config') throw fail(error.message, '', '');
    throw hostRefusal(error, host);
  }
}

const pluginFailure: Fail = (status, stdout, stderr) => new XapiError('XENAPI_PLUGIN_FAILURE', status, stdout, stderr);

/**
 * Calls a function of a plugin: its one argument is an XML-RPC call of the function's name with the caller's session and
 * the arguments, its output an XML-RPC response whose value is a text.
 * @throws XapiError XENAPI_MISSING_PLUGIN [name], XENAPI_PLUGIN_FAILURE [status, stdout, stderr], or the plugin's own
 */
export async function callPlugin(
  { xapi, session }: Pick<Call, 'xapi' | 'session'>,
  host: Ref<'host'>,
  name: string,
  fn: string,
  args: Readonly<Record<string, string>>,
): Promise<string> {
  const call = encodeXmlRpcCall(fn, [session, args]);
  const end = await run(xapi, host, { directory: 'plugins', name, args: [call] }, pluginFailure);
  if (end === undefined) throw new XapiError('XENAPI_MISSING_PLUGIN', name);
  const value = answerOf(end, pluginFailure);
  if (typeof value !== 'string') throw pluginFailure('unexpected XMLRPC result', shortened(end.stdout), end.stderr);
  return value;
}

/**
 * Calls an extension: an executable named as the call is, which reads it as XML-RPC on its input.
 * @throws XapiError MESSAGE_METHOD_UNKNOWN [name], INTERNAL_ERROR, or the extension's own
 */
async function runExtension(
  xapi: Xapi,
  host: Ref<'host'>,
  name: string,
  params: readonly WireValue[],
): Promise<WireValue> {
  const fail: Fail = (...words) => new XapiError('INTERNAL_ERROR', name, ...words);
  const stdin = encodeXmlRpcCall(name, params);
  const end = await run(xapi, host, { directory: 'extensions', name, args: ['--xmlrpc'], stdin }, fail);
  if (end === undefined) throw new XapiError('MESSAGE_METHOD_UNKNOWN', name);
  return answerOf(end, fail);
}

/** A call that is in no table, as an extension of the coordinator; undefined when there is no such. */
export async function callPoolExtension(
  xapi: Xapi,
  name: string,
  params: readonly WireValue[],
): Promise<WireValue | undefined> {
  const host = coordinator(xapi);
  if (host === undefined || !(await hasExtension(xapi, host, name))) return undefined;
  return await runExtension(xapi, host, name, params);
}

function coordinator({ db, hosts }: Xapi): Ref<'host'> | undefined {
  const [pool] = db.refs('pool');
  const master = pool === undefined ? undefined : db.get('pool', pool).master;
  return master !== undefined && hosts.isLive(master) ? master : undefined;
}

async function hasExtension(xapi: Xapi, host: Ref<'host'>, name: string): Promise<boolean> {
  xapi.db.get('host', host);
  try {
    return await xapi.hosts.driverOf(host).system.has('extensions', name);
  } catch (error) {
    throw error instanceof HostError ? hostRefusal(error, host) : error;
  }
}

/** Whether the coordinator has an extension; not when it does not answer. */
export async function poolHasExtension(xapi: Xapi, name: string): Promise<boolean> {
  const host = coordinator(xapi);
  return host !== undefined && (await hasExtension(xapi, host, name));
}

export const hostProgramCalls: Pick<CallsOf<'host'>, 'call_plugin' | 'call_extension' | 'has_extension'> = {
  call_plugin: (call, { host, plugin, fn, args }) => callPlugin(call, host, plugin, fn, args),

  /** The call is a text, JSON-RPC or XML-RPC, and so is the value that it answers. */
  async call_extension({ xapi }, { host, call }) {
    const isXml = call.trimStart().startsWith('<');
    const { name, params } = readCall(call, isXml);
    const value = await runExtension(xapi, host, name, params);
    return isXml ? encodeXmlAny(value) : JSON.stringify(value);
  },

  has_extension: ({ xapi }, { host, name }) => hasExtension(xapi, host, name),
};

function readCall(text: string, isXml: boolean): { readonly name: string; readonly params: readonly WireValue[] } {
  try {
    if (isXml) {
      const { methodName, params } = parseXmlRpcCall(text);
      return { name: methodName, params };
    }
    const { method, params } = parseJsonRpcRequest(text);
    return { name: method, params };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new XapiError('INVALID_VALUE', 'call', error.message);
  }
}
