/**
 * Executables of a host's administrator that are run before and after what is done to VMs and hosts:
 * `/etc/xapi.d/<hook>/*` of the host, one after the other. XAPI: ocaml/xenopsd/lib/xenops_hooks.ml, ocaml/xapi/xapi_hooks.ml.
 */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { HostError } from '../host-driver.ts';
import { hostRefusal } from '../host-error.ts';
import type { HostHook, ProgramEnd, VmHook } from '../host-system.ts';
import type { Xapi } from '../xapi.ts';

/** Why a VM hook is run, in XAPI's words. */
export type VmHookReason =
  | 'none'
  | 'clean-shutdown'
  | 'hard-shutdown'
  | 'clean-reboot'
  | 'hard-reboot'
  | 'suspend'
  | 'source'
  | 'destination';

/** Why a host hook is run. XAPI has `fenced` too: nobody is declared dead here but by a call. */
export type HostHookReason = 'user' | 'dbdestroy' | 'clean-shutdown' | 'clean-reboot';

/** What waits for a hook does not wait longer; the executable is ended then, and has failed. */
const timeLimitMs = 20 * 60 * 1000;
/** With this exit code an executable has something to say, and nothing has failed. */
const saidSomething = 1;
/** Of its output, this much is told. */
const wordsMax = 4096;
/** Then there is no domain, or may be none, whatever the record still says. */
const withoutDomain: ReadonlySet<VmHook> = new Set([
  'vm-pre-start',
  'vm-post-destroy',
  'vm-pre-reboot',
  'vm-pre-resume',
]);

/**
 * Runs the hooks of a VM on a host. Those after the fact are left out when the host no longer answers: what was done is done.
 * @throws XapiError XAPI_HOOK_FAILED [hook/executable, reason, stdout, exit code] for the first that fails, and the rest is
 *   not run; CANNOT_CONTACT_HOST, HOST_OFFLINE
 */
export async function runVmHooks(
  xapi: Xapi,
  vm: Ref<'VM'>,
  host: Ref<'host'>,
  hook: VmHook,
  reason: VmHookReason,
): Promise<void> {
  const { uuid, domid } = xapi.db.get('VM', vm);
  const domain = domid === -1 || withoutDomain.has(hook) ? [] : ['-vmdomid', String(domid)];
  await runHooks(xapi, host, hook, reason, ['-vmuuid', uuid, '-reason', reason, ...domain]);
}

/**
 * Runs the hooks for a host that goes away, on the coordinator, or on another host that answers when the coordinator does
 * not, or is the one that has gone; on none when no host is left.
 * @throws XapiError as {@link runVmHooks}
 */
export async function runHostHooks(
  xapi: Xapi,
  host: Ref<'host'>,
  hook: HostHook,
  reason: HostHookReason,
): Promise<void> {
  const { db, hosts } = xapi;
  const { uuid } = db.get('host', host);
  const candidates = [...[...db.all('pool')].map(([, { master }]) => master), ...db.refs('host')];
  const where = candidates.find(
    (candidate) => hosts.isLive(candidate) && (hook === 'host-pre-declare-dead' || candidate !== host),
  );
  if (where !== undefined) await runHooks(xapi, where, hook, reason, ['-hostuuid', uuid, '-reason', reason]);
}

async function runHooks(
  xapi: Xapi,
  host: Ref<'host'>,
  hook: VmHook | HostHook,
  reason: string,
  args: readonly string[],
): Promise<void> {
  try {
    const { system } = xapi.hosts.driverOf(host);
    for (const name of await system.list(hook)) {
      const end = await system.run({ directory: hook, name, args, timeLimitMs });
      if (end !== undefined) judge(xapi, `${hook}/${name}`, reason, end);
    }
  } catch (error) {
    const refusal = error instanceof HostError ? hostRefusal(error, host) : error;
    if (!hook.includes('-post-') || !isUnheard(refusal)) throw refusal;
    xapi.log.warn('hooks were not run, as the host does not answer', { hook, reason, args, error: String(refusal) });
  }
}

const isUnheard = (error: unknown): boolean =>
  error instanceof XapiError && (error.code === 'CANNOT_CONTACT_HOST' || error.code === 'HOST_OFFLINE');

/** @throws XapiError XAPI_HOOK_FAILED */
function judge(xapi: Xapi, hook: string, reason: string, { exitCode, stdout, stderr, timedOut }: ProgramEnd): void {
  if (exitCode === 0) return;
  const said = stdout.slice(0, wordsMax);
  if (exitCode === saidSomething) return xapi.log.info('a hook said something', { hook, reason, stdout: said, stderr });
  xapi.log.warn('a hook failed', { hook, reason, exitCode, timedOut, stdout: said, stderr });
  throw new XapiError('XAPI_HOOK_FAILED', hook, reason, said, String(exitCode));
}
