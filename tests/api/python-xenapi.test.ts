/** Debian's python3-os-xenapi: the XenAPI.py of the SDK, over XML-RPC. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requires } from '../requires.ts';
import { runProgram, startModelPool, type ModelPool } from './model-pool.ts';

const needed = requires(['python3', 'XenAPI.py']);
const program = new URL('./lifecycle.py', import.meta.url).pathname;

describe.skipIf(needed.skip)(`XenAPI.py ${needed.reason}`, () => {
  let pool: ModelPool;
  beforeAll(async () => {
    pool = await startModelPool();
  });
  afterAll(() => pool.close());

  test.each(['url', 'tlsUrl'] as const)('a VM lives its life by %s', async (address) => {
    const { code, stdout, stderr } = await runProgram('/usr/bin/python3', [
      program,
      pool[address],
      pool.user,
      pool.password,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trim().split('\n')).toEqual([
      'refused SESSION_AUTHENTICATION_FAILED',
      'version 2.23',
      'hosts 2',
      'state Halted',
      'state Running',
      'state Paused',
      'state Running',
      'state Suspended',
      'state Running',
      'state Running',
      'state Halted',
      'refused VM_BAD_POWER_STATE',
      'refused HANDLE_INVALID',
      'refused MESSAGE_PARAMETER_COUNT_MISMATCH',
      'refused MESSAGE_METHOD_UNKNOWN',
      'task success',
      'done',
    ]);
  });
});
