/** A text file of an image: path without leading slash, mode, content. */
export type ImageFile = { readonly path: string; readonly mode: number; readonly text: string };

/** Printed on the agent's serial line once dom0 is up for the first time; the saved state is taken after it. */
export const DOM0_READY_MARKER = 'xenolith-dom0-ready';
/** The agent's answer to a script ends with this word and the script's exit code. */
export const AGENT_DONE_MARKER = 'xenolith-agent-done';
/** A line that ends a script sent to the agent. */
export const AGENT_SCRIPT_END = '.';

/** Printed on Xen's console when dom0's first program runs: Xen and its Linux have booted then. */
export const DOM0_INITRAMFS_MARKER = 'xenolith-dom0-initramfs';

/** The bridge every lab host has; xl's own default name. */
export const LAB_BRIDGE = 'xenbr0';
/** Where the tiny guest lies in dom0. */
export const GUEST_KERNEL_PATH = '/usr/lib/xenolith/guest/vmlinux';
export const GUEST_INITRD_PATH = '/usr/lib/xenolith/guest/initrd.gz';

/**
 * dom0's first program. No udev and no systemd: devtmpfs and the toolstack's own calls of the hotplug scripts are enough, and it is four times faster.
 * `depmod` and `ldconfig` run here, once before the saved state is taken, instead of on the machine that builds the image. sshd is not started
 * here: a host gets its keys after the restore, and no two hosts ever share one.
 */
const LAB_INIT = `#!/bin/busybox sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -t proc proc /proc 2>/dev/null
mount -t sysfs sys /sys 2>/dev/null
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=0755 tmpfs /run
mount -o remount,rw /
mkdir -p /run/sshd /run/lock /run/xen /run/xenstored /var/log/xen /var/lib/xen/images /root/.ssh
chmod 700 /root /root/.ssh
ln -sfn /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
hostname xenolith-lab
# The toolstack's hotplug scripts call logger (busybox's does without a log daemon) and awk; the rest is for people who log in.
for applet in awk clear less logger top vi wget which; do
  [ -e /usr/bin/$applet ] || ln -s /bin/busybox /usr/bin/$applet
done
# Without systemd nothing else ends this machine in good order.
for applet in halt poweroff reboot; do
  [ -e /usr/sbin/$applet ] || ln -s /bin/busybox /usr/sbin/$applet
done
ldconfig
depmod -a
modprobe -a xen-evtchn xen-gntdev xen-gntalloc xenfs xen-privcmd xen-blkback xen-netback bridge loop tun virtio_net af_packet
mount -t xenfs xenfs /proc/xen
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip link add ${LAB_BRIDGE} type bridge
ip link set ${LAB_BRIDGE} up
ip link set eth1 master ${LAB_BRIDGE}
ip link set eth1 up
bin=/usr/lib/xen-4.17/bin
$bin/oxenstored --pid-file /run/xenstored.pid
i=0
while [ $i -lt 100 ] && ! xenstore-read -s / >/dev/null 2>&1; do i=$((i+1)); sleep 0.1; done
$bin/xen-init-dom0
$bin/xenconsoled --pid-file /run/xenconsoled.pid --log=all --log-dir=/var/log/xen
# What the first commands after a restore read is in the page cache, and so in the saved state.
xl info >/dev/null
xl list -l >/dev/null
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key </dev/null
/usr/sbin/sshd -t
rm -f /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_ed25519_key.pub
sync
exec /bin/busybox init
`;

/**
 * Runs as root what the machine that owns this host writes on the second serial line: that is how a restored host gets its clock, name, addresses and
 * keys before anybody can log in.
 */
const LAB_AGENT = `#!/bin/bash
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
echo ${DOM0_READY_MARKER}
while :; do
  script=
  while IFS= read -r line && [ "$line" != '${AGENT_SCRIPT_END}' ]; do script+=$line$'\\n'; done
  bash -c "$script" </dev/null
  echo "${AGENT_DONE_MARKER} $?"
done
`;

const INITTAB = `::respawn:/usr/lib/xenolith/agent
hvc0::respawn:/bin/bash -l
::ctrlaltdel:/sbin/reboot
`;

/**
 * Key exchange and ciphers without AES hardware or post-quantum arithmetic: under emulation the default ones cost a second a connection.
 * Nothing but this machine can reach the port.
 */
const SSHD_CONFIG = `HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxSessions 100
MaxStartups 100
PrintMotd no
AcceptEnv LANG LC_*
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes128-ctr,aes256-gcm@openssh.com,aes256-ctr
Subsystem sftp /usr/lib/openssh/sftp-server
`;

/** Loads what the root disk needs, then hands over to LAB_INIT. `modules` are file names in loading order. */
export function dom0InitramfsInit(modules: readonly string[]): string {
  return `#!/bin/busybox sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo '${DOM0_INITRAMFS_MARKER}' >/dev/console
for module in ${modules.join(' ')}; do insmod /modules/$module 2>/dev/null; done
i=0
while [ $i -lt 100 ] && [ ! -b /dev/vda ]; do i=$((i+1)); usleep 50000; done
mount -t ext4 -o rw,noatime /dev/vda /root || { echo 'xenolith: no root disk'; exec sh; }
umount /proc /sys
mount -o move /dev /root/dev
exec switch_root /root /sbin/labinit
`;
}

/** The files written over the unpacked packages. */
export const DOM0_FILES: readonly ImageFile[] = [
  { path: 'sbin/labinit', mode: 0o755, text: LAB_INIT },
  { path: 'usr/lib/xenolith/agent', mode: 0o755, text: LAB_AGENT },
  { path: 'etc/inittab', mode: 0o644, text: INITTAB },
  { path: 'etc/ssh/sshd_config', mode: 0o644, text: SSHD_CONFIG },
  {
    path: 'etc/passwd',
    mode: 0o644,
    text: 'root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  },
  { path: 'etc/group', mode: 0o644, text: 'root:x:0:\ntty:x:5:\ndisk:x:6:\nnogroup:x:65534:\n' },
  {
    path: 'etc/shadow',
    mode: 0o600,
    text: 'root:*:19700:0:99999:7:::\nsshd:!:19700::::::\nnobody:*:19700:0:99999:7:::\n',
  },
  { path: 'etc/nsswitch.conf', mode: 0o644, text: 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' },
  { path: 'etc/hosts', mode: 0o644, text: '127.0.0.1 localhost\n' },
  { path: 'etc/hostname', mode: 0o644, text: 'xenolith-lab\n' },
  { path: 'etc/fstab', mode: 0o644, text: '/dev/vda / ext4 rw,noatime 0 0\n' },
  { path: 'etc/ld.so.conf', mode: 0o644, text: 'include /etc/ld.so.conf.d/*.conf\n' },
  {
    path: 'root/.profile',
    mode: 0o644,
    text: "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=${TERM:-vt100}\nPS1='\\h:\\w# '\ncd\n",
  },
];

/** Directories that maintainer scripts or the init system would have made. */
export const DOM0_DIRECTORIES = [
  'dev',
  'proc',
  'sys',
  'run',
  'tmp',
  'root',
  'mnt',
  'srv',
  'var/tmp',
  'var/log/xen',
  'var/lib/xen',
  'var/lib/xenstored',
  'usr/lib/xenolith/guest',
  'usr/local/bin',
  'usr/local/sbin',
] as const;
