/** What each vCPU is at, in each of 400 parts of some milliseconds, as a picture. */
import type { RunFigures } from '@xenolith/hypervisor';
import { label, panel, plotBottom, plotRight } from '../plot/panel.ts';
import { element, type SvgElement } from '../plot/svg.ts';
import { lockMachine, type LockSetting } from './lock-run.ts';

const slices = 400;
/** All vCPUs have come up (`startWithinNs`), and whatever there is to see has begun. */
const settledNs = 300_000_000;
/** How long a picture is, if nothing else is asked for. */
const spanMs = 100;

/** What a vCPU can be at, with a colour each; what it was longest is shown. */
export const activities = [
  { name: 'running', colour: '#0072b2' },
  { name: 'spinning', colour: '#d55e00' },
  { name: 'runnable', colour: '#dddddd' },
  { name: 'blocked', colour: '#56b4e9' },
] as const;

/** What a vCPU was at longest, as a place in {@link activities}. */
export function activityOf({ runNs, runnableNs, blockedNs, locks }: RunFigures): number {
  const spinNs = locks.spinNs;
  const times = [runNs - spinNs, spinNs, runnableNs, blockedNs];
  return times.indexOf(Math.max(...times));
}

/** By vCPU of the VMs: what it was at in each part of the time. */
export function timeline(
  setting: LockSetting,
  seed: number,
  count = slices,
  sliceNs = (spanMs * 1e6) / slices,
): readonly (readonly number[])[] {
  const machine = lockMachine(setting, { seed, durationNs: count * sliceNs });
  machine.run(settledNs);
  const rows: number[][] = Array.from({ length: setting.vms * setting.vcpus }, () => []);
  for (let slice = 0; slice < count; slice++) {
    machine.measure();
    machine.run(sliceNs);
    const vcpus = machine
      .figures()
      .domains.filter(({ name }) => name.startsWith('vm'))
      .flatMap((domain) => domain.vcpus);
    for (const [index, vcpu] of vcpus.entries()) rows[index]!.push(activityOf(vcpu));
  }
  return rows;
}

/** A row for each vCPU, so many milliseconds long. */
export function storm(title: string, setting: LockSetting, seed: number, lengthMs = spanMs): SvgElement {
  const rows = timeline(setting, seed, slices, (lengthMs * 1e6) / slices);
  const height = panel.plotHeight / rows.length;
  const width = (plotRight - panel.left) / slices;
  const bars = rows.flatMap((row, index) => {
    const y = panel.top + index * height;
    return runsOf(row).map(({ from, to, what }) =>
      element('rect', {
        x: panel.left + from * width,
        y: y + 1,
        width: (to - from) * width,
        height: height - 2,
        fill: activities[what]!.colour,
      }),
    );
  });
  const names = rows.map((_, index) => {
    const text = `vm${Math.floor(index / setting.vcpus) + 1} v${index % setting.vcpus}`;
    return label(panel.left - 6, panel.top + (index + 0.5) * height + 3.5, text, { anchor: 'end', size: 10 });
  });
  const legend = activities.flatMap(({ name, colour }, index) => {
    const x = panel.left + index * 100;
    return [element('rect', { x, y: 31, width: 10, height: 10, fill: colour }), label(x + 14, 40, name)];
  });
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) =>
    label(panel.left + part * (plotRight - panel.left), plotBottom + 18, String(part * lengthMs), {
      anchor: 'middle',
    }),
  );
  return element(
    'g',
    {},
    label(panel.left, 20, title, { size: 15, weight: 'bold' }),
    ...legend,
    ...bars,
    ...names,
    ...marks,
    label((panel.left + plotRight) / 2, plotBottom + 36, `ms; what it was at longest in each ${partText(lengthMs)}`, {
      anchor: 'middle',
    }),
  );
}

const partText = (lengthMs: number): string => `${(lengthMs * 1000) / slices} µs`;

/** Neighbours that are the same, as one. */
function runsOf(
  row: readonly number[],
): readonly { readonly from: number; readonly to: number; readonly what: number }[] {
  const runs: { from: number; to: number; what: number }[] = [];
  for (const [index, what] of row.entries()) {
    const last = runs.at(-1);
    if (last?.what === what) last.to = index + 1;
    else runs.push({ from: index, to: index + 1, what });
  }
  return runs;
}
