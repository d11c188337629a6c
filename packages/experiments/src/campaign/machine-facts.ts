/** What a machine says of itself, kept with every sample. */

export interface MachineFacts {
  readonly host: string;
  /** As the processor names itself. */
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryKib: number;
  /** The hypervisor that it runs on, as far as it knows: `xen`, or `unknown`; empty on hardware. */
  readonly hypervisor: string;
  readonly distribution: string;
  readonly kernel: KernelFacts;
}

export interface KernelFacts {
  readonly release: string;
  readonly version: string;
  readonly architecture: string;
  readonly commandLine: string;
  /** Another one after each boot. */
  readonly bootId: string;
  readonly clocksource: string;
  /** Of the first processor's frequency; empty where nothing governs it. */
  readonly governor: string;
}

/** A script whose output {@link parseMachineFacts} reads. It fails nowhere: what is not known is empty. */
export const machineFactsScript = `
say() { printf '%s=%s\\n' "$1" "$(printf '%s' "$2" | tr '\\n\\r' '  ')"; }
say host "$(uname -n)"
say cpu "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
say memory "$(sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo)"
hypervisor=$(cat /sys/hypervisor/type 2>/dev/null)
[ -n "$hypervisor" ] || ! grep -q '^flags.* hypervisor' /proc/cpuinfo || hypervisor=unknown
say hypervisor "$hypervisor"
say distribution "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"')"
say release "$(uname -r)"
say version "$(uname -v)"
say architecture "$(uname -m)"
say command-line "$(cat /proc/cmdline)"
say boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
say clocksource "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null)"
say governor "$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)"
`;

export function parseMachineFacts(output: string): MachineFacts {
  const said = new Map(
    output.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()] as const];
    }),
  );
  const text = (name: string): string => said.get(name) ?? '';
  const number = (name: string): number => (/^\d+$/.test(text(name)) ? Number(text(name)) : 0);
  return {
    host: text('host'),
    cpu: text('cpu'),
    cpus: number('cpus'),
    memoryKib: number('memory'),
    hypervisor: text('hypervisor'),
    distribution: text('distribution'),
    kernel: {
      release: text('release'),
      version: text('version'),
      architecture: text('architecture'),
      commandLine: text('command-line'),
      bootId: text('boot'),
      clocksource: text('clocksource'),
      governor: text('governor'),
    },
  };
}

/** A machine in a line of text. */
export function machineText({ host, cpu, cpus, memoryKib, hypervisor, distribution }: MachineFacts): string {
  const parts = [
    host,
    `${cpus} × ${cpu === '' ? 'unknown processor' : cpu}`,
    `${(memoryKib / 2 ** 20).toFixed(1)} GiB`,
    ...(hypervisor === '' ? [] : [`a virtual machine (hypervisor: ${hypervisor})`]),
    ...(distribution === '' ? [] : [distribution]),
  ];
  return parts.join(', ');
}

/** A kernel in a line of text. */
export function kernelText({
  release,
  version,
  architecture,
  commandLine,
  clocksource,
  governor,
}: KernelFacts): string {
  const parts = [
    `Linux ${release} ${version} ${architecture}`,
    ...(clocksource === '' ? [] : [`clocksource ${clocksource}`]),
    ...(governor === '' ? [] : [`governor ${governor}`]),
    `command line: ${commandLine}`,
  ];
  return parts.join(', ');
}

/** Which words of a configuration the kernel's command line does not bear out: `lacks xen_nopvspin`, `has quiet`. */
export function kernelMismatch(
  { has, lacks }: { readonly has: readonly string[]; readonly lacks: readonly string[] },
  { commandLine }: KernelFacts,
): readonly string[] {
  const words = new Set(commandLine.split(/\s+/));
  return [
    ...has.filter((word) => !words.has(word)).map((word) => `lacks ${word}`),
    ...lacks.filter((word) => words.has(word)).map((word) => `has ${word}`),
  ];
}
