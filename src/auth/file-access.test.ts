import { describe, expect, test } from 'bun:test';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { Identity } from './access-control.ts';
import { FileAccess, type FileAccessParts, Standing } from './file-access.ts';
import { LoginLimiter } from './login-limiter.ts';
import { PasswordChecker } from './password-checker.ts';
import { PasswordFile } from './password-file.ts';
import { formatPasswordHash, HashKind, hashPassword } from './password-hash.ts';

const { success, notAuthorized, connectionRateExceeded } = ReasonCode;
const utf8 = (text: string) => new TextEncoder().encode(text);
const line = async (name: string, password: string, iterations = 1) =>
  `${name}:${formatPasswordHash(await hashPassword(utf8(password), HashKind.pbkdf2, iterations))}\n`;
const ann = await line('ann', 'right');
const slow = await line('slow', 'right', 20_000);
const passwords = PasswordFile.parse(ann + slow, 'pw');

function access(parts: Partial<FileAccessParts> = {}) {
  return new FileAccess({
    allowAnonymous: false,
    passwords,
    topics: null,
    checker: new PasswordChecker(),
    limiter: null,
    ...parts,
  });
}

const who = (username: string | null, address = '192.0.2.1'): Identity => ({ clientId: 'c', username, address });

describe('who gets in', () => {
  test('users with their password', async () => {
    expect(access().authenticate(who('ann'), utf8('right'))).toBe(success);
    expect(access().authenticate(who('ann'), utf8('wrong'))).toBe(notAuthorized);
    expect(access().authenticate(who('ann'), null)).toBe(notAuthorized);
    const empty = PasswordFile.parse(await line('ann', ''), 'pw');
    expect(access({ passwords: empty }).authenticate(who('ann'), utf8(''))).toBe(notAuthorized);
    expect(await access().authenticate(who('bob'), utf8('right'))).toBe(notAuthorized);
  });

  test.each([true, false])(
    'clients without a user name by allow_anonymous %p, an empty one is none',
    (allowAnonymous) => {
      const expected = allowAnonymous ? success : notAuthorized;
      for (const file of [passwords, null]) {
        const control = access({ allowAnonymous, passwords: file });
        expect(control.authenticate(who(null), null)).toBe(expected);
        expect(control.authenticate(who(''), utf8('x'))).toBe(expected);
      }
    },
  );

  test('allow_anonymous lets no user in with a wrong password', () => {
    expect(access({ allowAnonymous: true }).authenticate(who('ann'), utf8('wrong'))).toBe(notAuthorized);
    expect(access({ allowAnonymous: true }).authenticate(who('bob'), null)).toBe(notAuthorized);
  });

  test('without a password file, any user name counts as none', () => {
    expect(access({ passwords: null, allowAnonymous: true }).authenticate(who('bob'), utf8('x'))).toBe(success);
    expect(access({ passwords: null }).authenticate(who('bob'), utf8('x'))).toBe(notAuthorized);
  });
});

describe('with a limit on failures', () => {
  const limited = () => {
    const clock = { now: 0 };
    return { clock, control: access({ limiter: new LoginLimiter(() => clock.now) }) };
  };

  test('the eleventh failure in a row is not looked at, right or wrong, until it is forgiven', () => {
    const { clock, control } = limited();
    for (let i = 0; i < 10; i++) expect(control.authenticate(who('ann'), utf8('wrong'))).toBe(notAuthorized);
    expect(control.authenticate(who('ann'), utf8('right'))).toBe(connectionRateExceeded);
    expect(control.authenticate(who('ann', '192.0.2.2'), utf8('right'))).toBe(success);
    clock.now += 10_000;
    expect(control.authenticate(who('ann'), utf8('right'))).toBe(success);
    expect(control.authenticate(who('ann'), utf8('wrong'))).toBe(notAuthorized);
  });

  test('clients without a password, or without a name, are refused and not counted', () => {
    const { control } = limited();
    for (let i = 0; i < 1_000; i++) {
      expect(control.authenticate(who('ann'), null)).toBe(notAuthorized);
      expect(control.authenticate(who(null), null)).toBe(notAuthorized);
    }
    expect(control.authenticate(who('ann'), utf8('right'))).toBe(success);
  });

  test('guesses that wait for their turn at the same time get no more tries than those one after the other', async () => {
    const { control } = limited();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => control.authenticate(who('slow'), utf8(`guess ${i}`))),
    );
    const looked = answers.filter((answer) => answer === notAuthorized).length;
    // Those under way at once, four at most, cannot know of each other.
    expect(looked).toBeWithin(10, 14);
    expect(answers.filter((answer) => answer === connectionRateExceeded)).toHaveLength(100 - looked);
  });
});

test('a login that waits is dropped when its client is gone', async () => {
  const control = access({ checker: new PasswordChecker({ concurrency: 1 }) });
  const first = control.authenticate(who('slow'), utf8('wrong'));
  const gone = control.authenticate(who('slow'), utf8('right'), () => false);
  expect(await Promise.all([first, gone])).toEqual([notAuthorized, connectionRateExceeded]);
});

describe('who stays after a reload', () => {
  const isWanted = () => true;
  const ann = { clientId: 'c', username: 'ann' };
  const fileOf = async (password: string, iterations?: number) =>
    PasswordFile.parse(await line('ann', password, iterations), 'pw');

  /** Logs ann in by a file, and answers her standing by the one that follows it. */
  async function reloaded(before: PasswordFile, after: PasswordFile, checker = new PasswordChecker()) {
    expect(await access({ passwords: before, checker }).authenticate(who('ann'), utf8('right'))).toBe(success);
    const now = access({ passwords: after.inherit(before), checker });
    return { now, standing: now.standing(ann) };
  }

  test('users whose hash is the same, and none that are gone', async () => {
    const before = await fileOf('right');
    const text = `#\nann:${before.users.get('ann')!.hashText}\n`;
    expect((await reloaded(before, PasswordFile.parse(text, 'pw'))).standing).toBe(Standing.stays);
    expect((await reloaded(before, PasswordFile.parse(slow, 'pw'))).standing).toBe(Standing.goes);
  });

  test('users with another hash of the same password, as with Mosquitto, and not those with another password', async () => {
    for (const iterations of [1, 20_000]) {
      const same = await reloaded(await fileOf('right'), await fileOf('right', iterations));
      expect(same.standing).toBe(Standing.unknown);
      expect(await same.now.recheck(ann, isWanted)).toBe(true);
      expect(same.now.standing(ann)).toBe(Standing.stays);
      const other = await reloaded(await fileOf('right'), await fileOf('new', iterations));
      expect(other.standing).toBe(Standing.unknown);
      expect(await other.now.recheck(ann, isWanted)).toBe(false);
      expect(other.now.standing(ann)).toBe(Standing.goes);
    }
  });

  test('a new login does not speak for those who are connected with the old password', async () => {
    const { now } = await reloaded(await fileOf('right'), await fileOf('new'));
    expect(await now.authenticate(who('ann'), utf8('new'))).toBe(success);
    expect(await now.recheck(ann, isWanted)).toBe(false);
  });

  test('a second reload before anybody was checked forgets nothing', async () => {
    const checker = new PasswordChecker();
    const first = await fileOf('right');
    const second = await fileOf('new');
    await reloaded(first, second, checker);
    const third = access({ passwords: (await fileOf('right')).inherit(second), checker });
    expect(third.standing(ann)).toBe(Standing.unknown);
    expect(await third.recheck(ann, isWanted)).toBe(true);
  });

  test('a client that is gone needs no check', async () => {
    const { now } = await reloaded(await fileOf('right'), await fileOf('right'));
    expect(await now.recheck(ann, () => false)).toBe(false);
    expect(now.standing(ann)).toBe(Standing.unknown);
  });

  test('anonymous clients as long as they are allowed', () => {
    const standing = (username: string | null, parts: Partial<FileAccessParts>) =>
      access(parts).standing({ clientId: 'c', username });
    expect(standing(null, { allowAnonymous: true })).toBe(Standing.stays);
    expect(standing('', { allowAnonymous: true })).toBe(Standing.stays);
    expect(standing(null, {})).toBe(Standing.goes);
    expect(standing('x', { passwords: null, allowAnonymous: true })).toBe(Standing.stays);
    expect(standing('x', { passwords: null })).toBe(Standing.goes);
  });
});

test('a password that waits to be recognized again is nowhere in memory as it is', async () => {
  const checker = new PasswordChecker();
  const secret = 'correct horse battery staple';
  const passwords = PasswordFile.parse(await line('ann', secret), 'pw');
  expect(await access({ passwords, checker }).authenticate(who('ann'), utf8(secret))).toBe(success);
  const sealed = Buffer.from(passwords.users.get('ann')!.verified!);
  expect(sealed.includes(secret)).toBe(false);
  expect(sealed.length).toBe(32 + secret.length);
});
