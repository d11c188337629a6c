import { expect, test } from 'vitest';
import { completionScript } from './completion.ts';
import { hostAddLine } from './host-add-line.ts';
import { xenolithCommand } from './program.ts';

test('the line that adds a host of the lab can be pasted into a shell', () => {
  const ssh = { address: '127.0.0.1', port: 2201, user: 'root', keyPath: '/a b/id', knownHostsPath: '/c/known' };
  expect(hostAddLine({ ssh })).toBe(
    "npx xe host-add address=ssh://root@127.0.0.1:2201 'identity-file=/a b/id' known-hosts-file=/c/known",
  );
});

test('completion follows the commands', () => {
  const script = completionScript(xenolithCommand());
  expect(script).toContain("'') words='up sim capture lab host experiment doctor ministat bench xl completion' ;;");
  expect(script).toContain("'lab') words='up status ssh console validate down' ;;");
  expect(script).toContain("'bench run') words='--directory --rounds --plan --json'");
  expect(script).toContain("'doctor') words='--identity-file --known-hosts-file --dom0-memory --apply --json' ;;");
  expect(script).toContain("'ministat') words='-A -n -s -C -c -d -w --json' ;;");
  expect(script).toContain("'lab up') words='--hosts --nodes --cpus --memory --dom0-mem --add' ;;");
});
