/** What pictures in the middle of things mean. */
import { bytes, domId, uuid, type Ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { HostError, type DomainInfo } from '../host-driver.ts';
import { OpenPool } from '../testing/open-pool.ts';
import { Follower } from './follower.ts';

const guest = uuid('11111111-2222-4333-8444-555555555555');
const domain = (number: number, is: Partial<DomainInfo> = {}): DomainInfo => ({
  domid: domId(number),
  uuid: guest,
  name: 'guest',
  paused: false,
  dying: false,
  vcpusOnline: 1,
  memoryBytes: bytes(0),
  ...is,
});

describe('a guest that reboots', () => {
  let pool: OpenPool;
  let vm: Ref<'VM'>;
  let follower: Follower;
  let looks: number;
  beforeEach(async () => {
    pool = await OpenPool.start();
    const { db } = pool.xapi;
    const host = db.create('host', {});
    vm = db.create('VM', { uuid: guest, power_state: 'Running', domid: 1, resident_on: host });
    looks = 0;
    follower = new Follower(pool.xapi, host, {
      sequence: () => 0,
      refresh: () => {
        looks++;
        return Promise.reject(new HostError('unreachable', 'a test'));
      },
      describe: () => Promise.reject(new HostError('no-such-domain', 'a test')),
      files: { stat: () => Promise.resolve(undefined) },
    });
  });

  /** What the records say once a picture has been taken in. */
  async function after(...domains: readonly DomainInfo[]): Promise<string> {
    follower.see({ sequence: 0, domains });
    await pool.clock.advanceAsync(0);
    const { power_state, domid } = pool.xapi.db.get('VM', vm);
    return `${power_state} ${domid}`;
  }

  test('is never told to be halted between its domains, nor paused while the new one is being made', async () => {
    expect(await after(domain(1, { shutdown: 'reboot' }))).toBe('Running 1');
    expect(await after()).toBe('Running 1');
    expect(await after(domain(2, { paused: true }))).toBe('Running 1');
    // That it goes on is told by nobody: it is looked for.
    await pool.clock.advanceAsync(250);
    expect(looks).toBe(1);
    expect(await after(domain(2))).toBe('Running 2');
    expect(await after(domain(2, { paused: true }))).toBe('Paused 2');
  });

  test('is told to be paused when its new domain stays so', async () => {
    expect(await after(domain(1, { shutdown: 'reboot' }))).toBe('Running 1');
    expect(await after(domain(2, { paused: true }))).toBe('Running 1');
    await pool.clock.advanceAsync(60_000);
    expect(await after(domain(2, { paused: true }))).toBe('Paused 2');
  });
});
