/** Holds an `xl` command of dom0 at a given point until it is let go: a program before xl in the PATH stands in its way. */
import { labRun, type LabHost } from '@xenolith/lab';

/**
 * `before` xl has begun, `midway` (a domain that is being made is there; something of one that is being saved is in its
 * file), `done` with xl's work, before its caller knows, and `named`: a saved state has its name, but nobody was told.
 */
export type GatePoint = 'before' | 'midway' | 'done' | 'named';

const timeoutMs = 60_000;

/** The file that holds what is to be stopped where; gone when it may go on. */
const gate = '/run/gate';
const hold = `hold() { : >${gate}.reached; while [ -e ${gate} ]; do sleep 0.05; done; }`;

const xl = `#!/bin/sh
${hold}
read -r command point 2>/dev/null <${gate}
[ "$1" = "$command" ] || exec /usr/sbin/xl "$@"
for last; do :; done
case $1 in
  create) midway() { [ "$(/usr/sbin/xl list | wc -l)" -gt 2 ]; } ;;
  save) midway() { [ -s "$last" ]; } ;;
esac
case $point in
  before) hold; exec /usr/sbin/xl "$@" ;;
  midway)
    /usr/sbin/xl "$@" &
    until midway || ! kill -0 $! 2>/dev/null; do :; done
    kill -STOP $!; hold; kill -CONT $!; wait $! ;;
  done) /usr/sbin/xl "$@"; rc=$?; hold; exit $rc ;;
  *) exec /usr/sbin/xl "$@" ;;
esac
`;

const mv = `#!/bin/sh
${hold}
/usr/bin/mv "$@"; rc=$?
read -r command point 2>/dev/null <${gate}
[ "$point" != named ] || hold
exit $rc
`;

export class XlGate {
  readonly #host: LabHost;

  private constructor(host: LabHost) {
    this.#host = host;
  }

  static async install(host: LabHost): Promise<XlGate> {
    for (const [name, text] of [
      ['xl', xl],
      ['mv', mv],
    ] as const) {
      await labRun(host, ['sh', '-c', `cat >/usr/local/bin/${name}; chmod 755 /usr/local/bin/${name}`], {
        input: text,
        timeoutMs,
      });
    }
    return new XlGate(host);
  }

  /** From now on the next command of this name is held at the point. */
  async close(command: 'create' | 'save', point: GatePoint): Promise<void> {
    await this.#run(`rm -f ${gate}.reached; echo ${command} ${point} >${gate}`);
  }

  /** Resolves when a command is held. */
  async reached(): Promise<void> {
    await this.#run(`while [ ! -e ${gate}.reached ]; do sleep 0.05; done`);
  }

  /** Lets it go on. */
  async open(): Promise<void> {
    await this.#run(`rm -f ${gate}`);
  }

  async #run(script: string): Promise<void> {
    await labRun(this.#host, ['sh', '-c', script], { timeoutMs });
  }
}
