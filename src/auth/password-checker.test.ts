import { describe, expect, test } from 'bun:test';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { LoginAnswer } from './access-control.ts';
import { PasswordChecker } from './password-checker.ts';
import { PasswordFile } from './password-file.ts';
import { formatPasswordHash, HashKind, hashPassword } from './password-hash.ts';

const { success, notAuthorized, serverBusy, connectionRateExceeded, serverUnavailable } = ReasonCode;
const utf8 = (text: string) => new TextEncoder().encode(text);
const right = utf8('right');
const wrong = utf8('wrong');
const isLater = (answer: LoginAnswer): answer is Promise<ReasonCode> => answer instanceof Promise;

async function fileOf(users: Readonly<Record<string, readonly [HashKind, number]>>): Promise<PasswordFile> {
  const lines = Object.entries(users).map(async ([name, [kind, iterations]]) => {
    return `${name}:${formatPasswordHash(await hashPassword(right, kind, iterations))}`;
  });
  return PasswordFile.parse((await Promise.all(lines)).join('\n'), 'pw');
}

const file = await fileOf({
  old: [HashKind.sha512, 1],
  quick: [HashKind.pbkdf2, 101],
  slow: [HashKind.pbkdf2, 20_000],
  argon: [HashKind.argon2id, 1],
});

describe('a password', () => {
  test.each(['old', 'quick'])('with a quick hash is checked at once: %s', (name) => {
    const checker = new PasswordChecker();
    expect(checker.check(file, name, right)).toBe(success);
    expect(checker.check(file, name, wrong)).toBe(notAuthorized);
    expect(checker.check(file, name, utf8(''))).toBe(notAuthorized);
  });

  test.each(['slow', 'argon'])('with a slow hash is checked on another thread: %s', async (name) => {
    const checker = new PasswordChecker();
    for (const [password, expected] of [
      [wrong, notAuthorized],
      [right, success],
    ] as const) {
      const answer = checker.check(file, name, password);
      expect(isLater(answer)).toBe(true);
      expect(await answer).toBe(expected);
    }
    expect(checker.queueLength).toBe(0);
  });

  test('that was right is known again at once, and a wrong one is not', async () => {
    const checker = new PasswordChecker();
    await checker.check(file, 'slow', right);
    expect(checker.check(file, 'slow', right)).toBe(success);
    expect(await checker.check(file, 'slow', wrong)).toBe(notAuthorized);
    expect(checker.check(file, 'slow', right)).toBe(success);
    // Another process has another key.
    expect(isLater(new PasswordChecker().check(file, 'slow', right))).toBe(true);
  });

  test('is known again for its user only', async () => {
    const two = await fileOf({ a: [HashKind.pbkdf2, 20_000], b: [HashKind.pbkdf2, 20_000] });
    const checker = new PasswordChecker();
    await checker.check(two, 'a', right);
    const answer = checker.check(two, 'b', right);
    expect(isLater(answer)).toBe(true);
    expect(await answer).toBe(success);
  });

  test('bytes may change after the call', async () => {
    const password = right.slice();
    const answer = new PasswordChecker().check(file, 'slow', password);
    password.fill(0);
    expect(await answer).toBe(success);
  });
});

describe('a user that is unknown', () => {
  test('is refused as late as one that is known', async () => {
    const slow = await fileOf({ a: [HashKind.pbkdf2, 20_000] });
    const quick = await fileOf({ a: [HashKind.pbkdf2, 101] });
    const checker = new PasswordChecker();
    const answer = checker.check(slow, 'nobody', right);
    expect(isLater(answer)).toBe(true);
    expect(await answer).toBe(notAuthorized);
    expect(checker.check(quick, 'nobody', right)).toBe(notAuthorized);
  });

  test('never gets in, although the password is that of the hash that stands in', async () => {
    const one = await fileOf({ a: [HashKind.pbkdf2, 300] });
    const checker = new PasswordChecker();
    for (let i = 0; i < 3; i++) expect(await checker.check(one, 'nobody', right)).toBe(notAuthorized);
    expect(one.users.get('a')!.verified).toBeNull();
  });

  test('is refused at once where there are no users at all', () => {
    expect(new PasswordChecker().check(PasswordFile.parse('', 'pw'), 'a', right)).toBe(notAuthorized);
  });
});

describe('many logins', () => {
  test('with the same name and password share one check', async () => {
    const checker = new PasswordChecker({ concurrency: 1 });
    const answers = Array.from({ length: 1_000 }, () => checker.check(file, 'argon', right));
    expect(checker.queueLength).toBe(0);
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 1_000 }, () => success));
  });

  test('wait for a thread, a bounded time', async () => {
    const checker = new PasswordChecker({ concurrency: 1, longestWaitMs: 100 });
    const answers = Array.from({ length: 100 }, (_, i) => checker.check(file, 'slow', utf8(`wrong ${i}`)));
    const refused = answers.filter((answer) => answer === serverBusy).length;
    // A check is taken for 12 ms, and the first is not waiting.
    expect(refused).toBeGreaterThan(80);
    expect(refused).toBeLessThan(95);
    const later = await Promise.all(answers.filter(isLater));
    expect(later.every((answer) => answer === notAuthorized)).toBe(true);
    expect(isLater(checker.check(file, 'slow', wrong))).toBe(true);
  });

  test('take a bounded share of the event loop: what is above waits its turn', async () => {
    // Of three looks at the clock the last is the one after the check: each takes a millisecond, and nothing else any.
    let now = 0;
    let looks = 0;
    const checker = new PasswordChecker({ nowMs: () => (++looks % 3 === 0 ? ++now : now) });
    for (let i = 0; i < 4; i++) expect(checker.check(file, 'quick', utf8(`wrong ${i}`))).toBe(notAuthorized);
    const answer = checker.check(file, 'quick', wrong);
    expect(isLater(answer)).toBe(true);
    expect(await answer).toBe(notAuthorized);
    // A single SHA-512 is not worth a thread.
    expect(checker.check(file, 'old', right)).toBe(success);
    now += 10;
    expect(checker.check(file, 'quick', right)).toBe(success);
  });

  test('of clients that are gone cost nothing when their turn comes', async () => {
    const checker = new PasswordChecker({ concurrency: 1, longestWaitMs: 60_000 });
    const first = checker.check(file, 'argon', wrong);
    let asked = 0;
    const gone = Array.from({ length: 500 }, (_, i) =>
      checker.check(file, 'argon', utf8(`gone ${i}`), () => {
        asked++;
        return false;
      }),
    );
    const last = checker.check(file, 'slow', wrong);
    expect(await Promise.all([first, last])).toEqual([notAuthorized, notAuthorized]);
    expect(new Set(await Promise.all(gone))).toEqual(new Set([connectionRateExceeded]));
    expect(asked).toBeGreaterThanOrEqual(500);
  });

  test('of which one is still there are checked for that one', async () => {
    const checker = new PasswordChecker({ concurrency: 1 });
    void checker.check(file, 'argon', wrong);
    const gone = checker.check(file, 'slow', right, () => false);
    const there = checker.check(file, 'slow', right, () => true);
    expect(await Promise.all([gone, there])).toEqual([success, success]);
  });

  test('do not stop the event loop', async () => {
    const many = await fileOf({ a: [HashKind.pbkdf2, 1_000] });
    const checker = new PasswordChecker();
    const answers = Promise.all(Array.from({ length: 300 }, (_, i) => checker.check(many, 'a', utf8(`wrong ${i}`))));
    let turns = 0;
    let isDone = false;
    void answers.then(() => (isDone = true));
    while (!isDone) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    expect(turns).toBeGreaterThan(50);
  });
});

test('a check that fails, as for want of memory, refuses, and the next goes on', async () => {
  // Within the limits of the format, yet more lanes than any machine has threads for.
  const text = 'a:$argon2id$v=19$m=4194304,t=1,p=500000$c29tZXNhbHQ$c29tZXNhbHQ';
  const impossible = PasswordFile.parse(text, 'pw');
  expect(impossible.problems).toEqual([]);
  const checker = new PasswordChecker({ concurrency: 1 });
  expect(await checker.check(impossible, 'a', right)).toBe(serverUnavailable);
  expect(await checker.check(file, 'slow', right)).toBe(success);
});

test('a new hash of the same user counts at once, whatever waits', async () => {
  const before = await fileOf({ a: [HashKind.pbkdf2, 20_000] });
  const text = `a:${formatPasswordHash(await hashPassword(utf8('new'), HashKind.pbkdf2, 20_000))}`;
  const after = PasswordFile.parse(text, 'pw').inherit(before);
  const checker = new PasswordChecker({ concurrency: 1 });
  const old = checker.check(before, 'a', right);
  expect(await checker.check(after, 'a', right)).toBe(notAuthorized);
  expect(await checker.check(after, 'a', utf8('new'))).toBe(success);
  expect(await old).toBe(success);
});
