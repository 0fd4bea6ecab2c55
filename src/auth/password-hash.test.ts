import { describe, expect, test } from 'bun:test';
import {
  checkPassword,
  checkPasswordNow,
  formatPasswordHash,
  HashKind,
  hashPassword,
  parsePasswordHash,
  PasswordHashError,
} from './password-hash.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const base64 = (length: number) => Buffer.alloc(length, 0xa5).toString('base64');

describe('hashes made elsewhere', () => {
  // Of mosquitto_passwd 2.0.11, and of the tests of the argon2 reference implementation.
  test.each([
    [
      '$7$101$r4oQjzrg2G+2C0nZ$xFSaY+nkjaWC6p5tXuw9IiDdGHLmkdRjQUeIdWHHRHHX5s1+CDMZI9NBZBE34+F0HRph7N/8lHrQfcIfWHnOaA==',
      'pw',
    ],
    ['$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc', 'password'],
    ['$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4', 'password'],
  ])('%s', async (text, password) => {
    const hash = parsePasswordHash(text);
    expect(await checkPassword(hash, utf8(password))).toBe(true);
    expect(await checkPassword(hash, utf8(`${password} `))).toBe(false);
    expect(await checkPassword(hash, utf8(''))).toBe(false);
    expect(formatPasswordHash(hash)).toBe(text);
  });

  test('by another implementation of argon2id', async () => {
    const theirs = parsePasswordHash(await Bun.password.hash('x y', { algorithm: 'argon2id', memoryCost: 64 }));
    expect(await checkPassword(theirs, utf8('x y'))).toBe(true);
    const ours = formatPasswordHash(await hashPassword(utf8('x y'), HashKind.argon2id));
    expect(await Bun.password.verify('x y', ours)).toBe(true);
    expect(await Bun.password.verify('x z', ours)).toBe(false);
  });
});

describe('hashes made here', () => {
  test.each([
    [HashKind.sha512, /^\$6\$[\w+/]{16}\$[\w+/]{86}==$/],
    [HashKind.pbkdf2, /^\$7\$1000\$[\w+/]{16}\$[\w+/]{86}==$/],
    [HashKind.argon2id, /^\$argon2id\$v=19\$m=47104,t=1,p=1\$[\w+/]{86}\$[\w+/]{86}$/],
  ])('%s', async (kind, format) => {
    const password = utf8('\u{1f511} \0 key');
    const [hash, other] = await Promise.all([hashPassword(password, kind), hashPassword(password, kind)]);
    const text = formatPasswordHash(hash);
    expect(text).toMatch(format);
    expect(formatPasswordHash(other)).not.toBe(text);
    const read = parsePasswordHash(text);
    expect(read).toEqual(hash);
    expect(await checkPassword(read, password)).toBe(true);
    expect(await checkPassword(read, utf8('\u{1f511} '))).toBe(false);
    if (read.kind !== HashKind.argon2id) {
      expect(checkPasswordNow(read, password)).toBe(true);
      expect(checkPasswordNow(read, utf8('key'))).toBe(false);
    }
  });

  test('with a number of iterations', async () => {
    expect(formatPasswordHash(await hashPassword(utf8('x'), HashKind.pbkdf2, 7))).toStartWith('$7$7$');
  });
});

test('iterations are read as C does, rows of $ count as one, and a salt may have any length up to 64', () => {
  const hash = base64(64);
  expect(parsePasswordHash(`$7$$101abc$$${base64(16)}$$${hash}`)).toMatchObject({ iterations: 101 });
  expect(parsePasswordHash(`$6$${base64(64)}$${hash}`).salt).toHaveLength(64);
});

describe('what is no hash', () => {
  test.each([
    ['', /not hashed/],
    ['secret', /not hashed/],
    ['$1$x$y', /not hashed/],
    ['$$7$1$x$y', /not hashed/],
    ['$7', /not hashed/],
    ['$7$0$AAAA$AAAA', /iterations/],
    ['$7$-1$AAAA$AAAA', /iterations/],
    ['$7$2147483648$AAAA$AAAA', /iterations/],
    ['$7$x$AAAA$AAAA', /iterations/],
    ['$7$1', /salt is missing/],
    ['$6$AAAA', /hash is missing/],
    ['$6$AA!A$AAAA', /salt is not base64/],
    ['$6$AAAAA$AAAA', /salt is not base64/],
    ['$6$AAAA$AAAA', /has 3 bytes/],
    [`$6$${base64(65)}$${base64(64)}`, /salt is too long/],
    ['$argon2id$', /expected/],
    ['$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHQ', /expected/],
    ['$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHQ', /not hashed/],
    ['$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHQ', /range/],
    ['$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$c29tZXNhbHQ', /range/],
    ['$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$c29tZXNhbHQ', /range/],
    ['$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHQ', /range/],
    ['$argon2id$v=19$m=64,t=1,p=1$AAAA$c29tZXNhbHQ', /salt is too short/],
    ['$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA', /hash is too short/],
  ])('%j', (text, message) => {
    expect(() => parsePasswordHash(text)).toThrow(PasswordHashError);
    expect(() => parsePasswordHash(text)).toThrow(message);
  });
});
