/** Devices of running domains by xl: the scripts in a real shell, with tools made for the test. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { domId, uuid } from '@xenolith/base';
import type { HostDevices } from '@xenolith/xapi';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commandFailure, domainScript } from './host-script.ts';
import { xlDevices } from './xl-devices.ts';

const web = { domid: domId(7), uuid: uuid('930c6acf-e7a8-4cb5-a9af-617328058e48') };
const disk = { device: 'xvdb', path: `/srv/it's "a", disk`, format: 'raw', readOnly: false } as const;
const vif = { index: 2, mac: '02:00:00:00:00:01', bridge: 'xenbr0', mtu: 1500 };

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xl-devices-'));
  tool('xenstore-read', `echo /vm/${web.uuid}`);
  tool('xenstore-ls', '');
  tool('xl', `printf '<%s>' "$@" >>${join(directory, 'log')}; echo >>${join(directory, 'log')}`);
  writeFileSync(join(directory, 'log'), '');
});
afterEach(() => rmSync(directory, { recursive: true }));

const tool = (name: string, text: string): void =>
  writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
const said = (): readonly string[] => readFileSync(join(directory, 'log'), 'utf8').split('\n').slice(0, -1);

const devices: HostDevices = xlDevices((domain, command, called) => {
  const env = { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', domainScript(domain, command)], { encoding: 'utf8', env });
  if (status === 0) return Promise.resolve();
  return Promise.reject(commandFailure(called, { exitCode: status ?? -1, stdout, stderr }));
});

/** libxl has written down the disk and the interface. */
const bothThere = (): void =>
  tool(
    'xenstore-ls',
    `case $2 in */vbd) echo '/libxl/7/device/vbd/51728/dev = "xvdb"';; */vif) echo '/libxl/7/device/vif/2/mac = "${vif.mac}"';; esac`,
  );

test('xl is asked with words that no path or name can leave', async () => {
  await devices.attachDisk(web, disk);
  await devices.attachVif(web, vif);
  bothThere();
  await devices.detachDisk(web, 'xvdb', { force: false });
  await devices.detachDisk(web, 'xvdb', { force: true });
  await devices.detachVif(web, vif.mac);
  expect(said()).toEqual([
    `<block-attach><7><format=raw,vdev=xvdb,access=rw,target=/srv/it's "a", disk>`,
    '<network-attach><7><mac=02:00:00:00:00:01><bridge=xenbr0><devid=2><mtu=1500>',
    '<block-detach><7><xvdb>',
    '<block-detach><--force><7><xvdb>',
    '<network-detach><7><02:00:00:00:00:01>',
  ]);
});

test('what is there is not attached again, what is not there is not detached', async () => {
  await devices.detachDisk(web, 'xvdb', { force: false });
  await devices.detachVif(web, vif.mac);
  bothThere();
  await expect(devices.attachDisk(web, disk)).rejects.toMatchObject({ code: 'exists' });
  await expect(devices.attachVif(web, vif)).rejects.toMatchObject({ code: 'exists' });
  await devices.detachDisk(web, 'xvdc', { force: false });
  // The name of another device is only a name.
  tool('xenstore-ls', `echo '/libxl/7/device/vbd/51744/params = "/libxl/7/device/vbd/1/dev = "xvdb""'`);
  await devices.detachDisk(web, 'xvdb', { force: false });
  expect(said()).toEqual([]);
});

test('what xl leaves half attached is taken away, and its words are told', async () => {
  const log = join(directory, 'log');
  tool('xl', `echo "$1" >>${log}; case $1 in *attach) echo 'Could not find bridge device' >&2; exit 1;; esac`);
  await expect(devices.attachVif(web, vif)).rejects.toMatchObject({
    code: 'command-failed',
    message: 'Could not find bridge device',
  });
  await expect(devices.attachDisk(web, disk)).rejects.toMatchObject({ code: 'command-failed' });
  expect(said()).toEqual(['network-attach', 'network-detach', 'block-attach', 'block-detach']);
});

test('a guest that does not let go, as Xen 4.17 said it', async () => {
  bothThere();
  const words = [
    'libxl: error: libxl_device.c:1181:device_backend_callback: Domain 1:unable to remove device with path /local/domain/0/backend/vbd/1/51728',
    'libxl_device_disk_safe_remove failed.',
  ];
  tool('xl', `cat >&2 <<'.'\n${words.join('\n')}\n.\nexit 1`);
  await expect(devices.detachDisk(web, 'xvdb', { force: false })).rejects.toMatchObject({ code: 'device-busy' });
});

test('what is no device is refused before anything is run', async () => {
  const bad = { code: 'bad-config' };
  await expect(devices.detachDisk(web, 'xvdb; reboot', { force: true })).rejects.toMatchObject(bad);
  await expect(devices.detachVif(web, 'x" y')).rejects.toMatchObject(bad);
  await expect(devices.attachDisk(web, { ...disk, path: 'srv/disk' })).rejects.toMatchObject(bad);
  await expect(devices.attachVif(web, { ...vif, bridge: 'a b' })).rejects.toMatchObject(bad);
  expect(said()).toEqual([]);
});
