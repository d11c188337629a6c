import { describe, expect, test } from 'vitest';
import { panicOnConsole } from './status.ts';

describe('a panic on the console of a host', () => {
  const rule = '(XEN) ****************************************';

  test.each([
    ['nothing', '', undefined],
    ['a boot', '(XEN) Xen version 4.17.7\n(XEN) *** Serial input to DOM0\n', undefined],
    [
      'a fault',
      `(XEN) Xen call trace:\n(XEN) \n${rule}\n(XEN) Panic on CPU 6:\n(XEN) FATAL PAGE FAULT\n(XEN) [error_code=0000]\n${rule}\n(XEN) \n(XEN) Reboot in five seconds...\n`,
      'Panic on CPU 6: FATAL PAGE FAULT [error_code=0000]',
    ],
    [
      'lines as a terminal has them',
      `${rule}\r\n(XEN) Panic on CPU 0:\r\n(XEN) Could not set up DOM0\r\n${rule}\r\n`,
      'Panic on CPU 0: Could not set up DOM0',
    ],
    ['one cut short', '(XEN) Panic on CPU 1:\n(XEN) Xen BUG at sc', 'Panic on CPU 1: Xen BUG at sc'],
    [
      'the last of two',
      `(XEN) Panic on CPU 1:\n(XEN) a\n${rule}\n(XEN) Panic on CPU 2:\n(XEN) b\n${rule}\n`,
      'Panic on CPU 2: b',
    ],
  ])('%s', (_, text, panic) => {
    expect(panicOnConsole(text)).toBe(panic);
  });
});
