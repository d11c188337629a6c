import type { ImageFile } from './dom0-files.ts';

/** The line a guest prints on its console once it is up. */
export const GUEST_UP_MARKER = 'xenolith guest up';

/**
 * The guest's set-up: kernel modules, then what the kernel command line asks for.
 * `ip4=ADDRESS/PREFIX` and `gw4=ADDRESS` give eth0 an address and a default route. `spin=N` has N processes compute for ever;
 * with `wake=SECONDS` one sleeps for so long again and again, in its shell, so that it does next to nothing when it wakes.
 */
function guestRc(modules: readonly string[]): string {
  return `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
hostname guest
for module in ${modules.join(' ')}; do insmod /modules/$module 2>/dev/null; done
ip link set lo up
for word in $(cat /proc/cmdline); do
  case $word in
    ip4=*) ip4=\${word#ip4=} ;;
    gw4=*) gw4=\${word#gw4=} ;;
    spin=*) spin=\${word#spin=} ;;
    wake=*) wake=\${word#wake=} ;;
    hostname=*) hostname "\${word#hostname=}" ;;
  esac
done
if [ -e /sys/class/net/eth0 ]; then
  ip link set eth0 up
  [ -n "$ip4" ] && ip addr add "$ip4" dev eth0
  [ -n "$gw4" ] && ip route add default via "$gw4"
fi
disks=
for disk in /sys/block/xvd*; do [ -e "$disk" ] && disks="$disks \${disk##*/}:$(($(cat $disk/size) / 2))KiB"; done
read -r uptime _ < /proc/uptime
echo "${GUEST_UP_MARKER}: $(hostname) $(uname -r) vcpus=$(grep -c ^processor /proc/cpuinfo) disks=\${disks# } ip4=$ip4 uptime=$uptime"
spinner=0
while [ $spinner -lt \${spin:-0} ]; do
  while :; do :; done &
  spinner=$((spinner + 1))
done
if [ -n "$wake" ]; then
  busybox mkfifo /run/never
  while :; do read -t "$wake" never; done <>/run/never &
fi
`;
}

/** The toolstack's shutdown and reboot requests reach the guest as a call of /sbin/poweroff and /sbin/reboot (drivers/xen/manage.c in Linux). */
const POWER_OFF = '#!/bin/sh\nexec /bin/busybox poweroff -f\n';
const REBOOT = '#!/bin/sh\nexec /bin/busybox reboot -f\n';

/** Text files of the guest's initramfs; `modules` are file names in loading order. */
export function guestFiles(modules: readonly string[]): readonly ImageFile[] {
  return [
    { path: 'etc/rc', mode: 0o755, text: guestRc(modules) },
    { path: 'etc/inittab', mode: 0o644, text: '::sysinit:/etc/rc\nhvc0::respawn:-/bin/sh\n' },
    { path: 'etc/passwd', mode: 0o644, text: 'root::0:0:root:/root:/bin/sh\n' },
    { path: 'sbin/poweroff', mode: 0o755, text: POWER_OFF },
    { path: 'sbin/halt', mode: 0o755, text: POWER_OFF },
    { path: 'sbin/reboot', mode: 0o755, text: REBOOT },
  ];
}
