/** Where clients reach the consoles of VMs: a URL of this server, whichever host the VM is on. */
import type { Ref } from '@xenolith/base';
import type { Xapi } from '../xapi.ts';

/** Says where a console is, for the address that the server listens on now. */
export function setConsoleLocation({ db, publicAddress }: Xapi, console: Ref<'console'>): void {
  const { uuid } = db.get('console', console);
  db.update('console', console, { location: `https://${publicAddress}/console?uuid=${uuid}` });
}
