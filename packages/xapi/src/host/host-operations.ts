/** What a host accepts. XAPI: ocaml/xapi/xapi_host_helpers.ml. */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';

/**
 * Writes `host.allowed_operations`. A reboot and a shutdown are not listed: they are accepted by a disabled host once the
 * last VM has left it, which is looked at when they are called.
 */
export function updateHostOperations(db: Database, host: Ref<'host'>, live: boolean): void {
  const { enabled } = db.get('host', host);
  db.update('host', host, {
    allowed_operations: !live
      ? ['power_on']
      : enabled
        ? ['provision', 'vm_start', 'vm_resume', 'evacuate']
        : ['evacuate'],
  });
}
