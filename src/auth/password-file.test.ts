import { describe, expect, test } from 'bun:test';
import { PasswordFile } from './password-file.ts';

const digest = Buffer.alloc(64, 7).toString('base64');
const hash = (salt = 'AAAA') => `$6$${salt}$${digest}`;
const names = (text: string | Uint8Array) => Array.from(PasswordFile.parse(text, 'pw').users.keys());
const problems = (text: string | Uint8Array) =>
  PasswordFile.parse(text, 'pw').problems.map(({ file, line, text: problem }) => `${file}:${line}: ${problem}`);

describe('lines of a password file', () => {
  test('are USER:HASH; comments, blank lines and lines without a colon are none of a user', () => {
    const text = `u:${hash()}\n# v:${hash()}\n\n \nnobody\n w x :\t${hash('BBBB')} \r\n`;
    expect(names(text)).toEqual(['u', 'w x']);
    expect(problems(text)).toEqual([]);
    expect(PasswordFile.parse(text, 'pw').users.get('w x')?.hashText).toBe(hash('BBBB'));
  });

  test('rows of colons count as one, and what follows the hash does not count', () => {
    expect(names(`:u::${hash()}:more:`)).toEqual(['u']);
  });

  test('the first of two lines for one user counts', () => {
    const file = PasswordFile.parse(`u:${hash('AAAA')}\nu:${hash('BBBB')}\n`, 'pw');
    expect(file.users.get('u')?.hashText).toBe(hash('AAAA'));
    expect(file.problems).toEqual([{ file: 'pw', line: 2, text: "user 'u' has a line above; the line is ignored" }]);
  });

  test('a line that is wrong makes no user, and the others are read', () => {
    const text = `a:\nb:plain\n : x\n:\nc:$7$0$AAAA$${digest}\nd:${hash()}`;
    expect(names(text)).toEqual(['d']);
    expect(problems(text)).toEqual([
      "pw:1: user 'a' has no password; the line is ignored",
      "pw:2: user 'b': the password is not hashed in a format known here ($7$, $argon2id$ or $6$); martlet passwd -U hashes plain ones; the line is ignored",
      'pw:3: the user name is empty; the line is ignored',
      "pw:5: user 'c': the number of iterations is not 1 or more; the line is ignored",
    ]);
  });

  test('lines that are not UTF-8, or hold NUL, make no user', () => {
    const bytes = Buffer.concat([Buffer.from(`\xff:${hash()}\n`, 'latin1'), Buffer.from(`u\0:${hash()}\nv:${hash()}`)]);
    expect(names(bytes)).toEqual(['v']);
    expect(problems(bytes)).toEqual([
      'pw:1: the line is not UTF-8; the line is ignored',
      'pw:2: the line holds a NUL byte; the line is ignored',
    ]);
  });

  test('no problem shows a hash or a password', () => {
    const secret = 'hunter2hunter2';
    const text = [secret, `$6$${secret}`, `$7$1$${secret}$x`, `$argon2id$${secret}`, `$7$${secret}$AAAA$${digest}`]
      .map((field) => `u:${field}`)
      .join('\n');
    expect(problems(text)).toHaveLength(5);
    expect(problems(text).join()).not.toContain(secret);
  });
});

describe('unknown users', () => {
  const slow = `$7$5000$AAAA$${digest}`;
  const file = PasswordFile.parse(`a:${hash()}\nb:${slow}\nc:${hash('BBBB')}\n`, 'pw');

  test('have the hash of somebody, always of the same', () => {
    const texts = Array.from({ length: 100 }, (_, i) => file.decoyFor(`x${i}`)?.hashText);
    expect(texts.every((text) => text === slow || text === hash('BBBB'))).toBe(true);
    expect(new Set(texts).size).toBe(2);
    expect(Array.from({ length: 100 }, (_, i) => file.decoyFor(`x${i}`)?.hashText)).toEqual(texts);
  });

  test('have none where there is no user', () => {
    expect(PasswordFile.parse('', 'pw').decoyFor('x')).toBeNull();
  });
});

test('a reload keeps what was verified: as it is of users whose line is the same, else to be checked anew', () => {
  const before = PasswordFile.parse(`a:${hash()}\nb:${hash()}\n`, 'pw');
  const verified = new Uint8Array(32);
  before.users.get('a')!.verified = verified;
  before.users.get('b')!.verified = verified;
  const after = PasswordFile.parse(`a:${hash()}\nb:${hash('BBBB')}\nc:${hash()}\n`, 'pw').inherit(before);
  expect(Array.from(after.users.values(), (user) => user.verified)).toEqual([verified, null, null]);
  expect(Array.from(after.users.values(), (user) => user.formerly)).toEqual([null, verified, null]);
  const again = PasswordFile.parse(`b:${hash('CCCC')}\n`, 'pw').inherit(after);
  expect(again.users.get('b')!.formerly).toBe(verified);
});
