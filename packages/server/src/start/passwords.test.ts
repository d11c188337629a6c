import { expect, test } from 'vitest';
import { scryptPasswords } from './passwords.ts';

const passwords = scryptPasswords();

test('the password and no other is right, the first time and again', async () => {
  const hash = await passwords.hash('påss');
  for (let i = 0; i < 2; i++) {
    expect(await passwords.verify('påss', hash)).toBe(true);
    expect(await passwords.verify('pass', hash)).toBe(false);
    expect(await passwords.verify('', hash)).toBe(false);
  }
});

test('a remembered password is not right for another hash', async () => {
  const [first, second] = [await passwords.hash('one'), await passwords.hash('two')];
  expect(await passwords.verify('one', first)).toBe(true);
  expect(await passwords.verify('one', second)).toBe(false);
});

test('a hash says its cost and nothing of the password; two of the same differ', async () => {
  const hash = await passwords.hash('secret');
  expect(hash).toMatch(/^\$scrypt\$N=16384,r=8,p=1\$[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}$/);
  expect(await passwords.hash('secret')).not.toBe(hash);
});

test('hashes of another cost are understood', async () => {
  // RFC 7914 section 12: P="password", S="NaCl", N=1024, r=8, p=16, the first 32 of its 64 bytes.
  const key = Buffer.from('fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162', 'hex').toString('base64');
  const hash = `$scrypt$N=1024,r=8,p=16$${Buffer.from('NaCl').toString('base64')}$${key}`;
  expect(await passwords.verify('password', hash)).toBe(true);
  expect(await passwords.verify('Password', hash)).toBe(false);
});

test.each(['', 'secret', '$scrypt$N=16384,r=8,p=1$$', '$scrypt$N=99999999999,r=8,p=1$AAAA$AAAA', '$2b$10$abc'])(
  'the hash %j lets nobody in',
  async (hash) => {
    expect(await passwords.verify('secret', hash)).toBe(false);
  },
);
