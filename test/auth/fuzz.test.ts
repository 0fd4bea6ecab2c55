// Whatever stands in the files of users and rules: they are read, or refused with ConfigError. Nothing else comes out.
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { AclAccess } from '../../src/auth/acl-access.ts';
import { parseAclFile } from '../../src/auth/acl-file.ts';
import { formatPasswordHash, parsePasswordHash } from '../../src/auth/password-hash.ts';
import { PasswordFile } from '../../src/auth/password-file.ts';
import { hashUsers, removeUser, setUser, CorruptPasswordFile } from '../../src/cli/passwd-edit.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { isValidTopicFilter } from '../../src/protocol/topic.ts';
import { sized } from '../support/long-run.ts';

// oxlint-disable-next-line no-control-regex -- what a terminal would obey
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f]/;

function aclSurvives(source: Uint8Array | string): void {
  try {
    const file = parseAclFile(source, 'fuzz.acl');
    for (const { topicFilter } of [...file.anonymous, ...file.patterns, ...Array.from(file.users.values()).flat()]) {
      expect(isValidTopicFilter(topicFilter)).toBe(true);
    }
    for (const { text } of file.warnings) expect(text).not.toMatch(CONTROL);
    for (const name of file.users.keys()) expect(name).not.toMatch(/^[ \t\v\f\r]|[ \t\v\f\r\n\0]$/);
    const access = new AclAccess(file);
    for (const username of [null, '', ...file.users.keys()].slice(0, 5)) {
      const topics = access.forClient({ clientId: 'c', username });
      for (const topic of ['a', 'a/b', '$SYS/x', '/']) {
        expect(topics.canReceive(topic)).toBeBoolean();
        expect(topics.canPublish(topic)).toBeBoolean();
        expect(topics.coverage(topic)).toBeWithin(0, 3);
      }
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    expect(error.message).toMatch(/^fuzz\.acl:\d+: /);
    expect(error.message).not.toMatch(CONTROL);
    expect(error.message.length).toBeLessThan(20_000);
  }
}

function passwordsSurvive(source: Uint8Array | string): void {
  const { users, problems } = PasswordFile.parse(source, 'fuzz.pw');
  for (const [name, user] of users) {
    expect(name).not.toBe('');
    expect(name).not.toMatch(/[:\n\0]/);
    expect(parsePasswordHash(formatPasswordHash(user.hash))).toEqual(user.hash);
  }
  for (const { line, text } of problems) {
    expect(line).toBeGreaterThan(0);
    expect(text).not.toMatch(CONTROL);
    expect(text.length).toBeLessThan(400);
  }
}

const anything = fc.string({ unit: 'binary', maxLength: 40 });
const blanks = fc.constantFrom('', ' ', '  ', '\t', ' \t', '\r');
const filter = fc.oneof(
  fc
    .array(fc.constantFrom('a', '+', '#', '%c', '%u', 'x%c', '$SYS', '', 'b c'), { maxLength: 4 })
    .map((l) => l.join('/')),
  anything,
);
const aclLine = fc.oneof(
  fc
    .tuple(
      blanks,
      fc.constantFrom('user', 'topic', 'pattern', '#', 'Topic', 'users'),
      blanks,
      fc.constantFrom('', 'read', 'write', 'readwrite', 'deny', 'raed'),
      blanks,
      filter,
      blanks,
    )
    .map((parts) => parts.join('')),
  anything,
);
const digest = Buffer.alloc(64, 3).toString('base64');
const field = fc.oneof(
  fc.constantFrom('6', '7', 'argon2id', 'v=19', 'm=64,t=1,p=1', '101', '0', '-1', 'AAAA', 'c29tZXNhbHQ', digest, '='),
  anything,
);
const passwordLine = fc.oneof(
  fc
    .tuple(anything, fc.constantFrom(':', '::', '', ' : '), fc.array(field, { maxLength: 6 }), blanks)
    .map(([name, colon, fields, end]) => `${name}${colon}$${fields.join('$')}${end}`),
  anything,
);
const ends = fc.constantFrom('\n', '\r\n', '\r', '\n\n');
const files = (line: fc.Arbitrary<string>) =>
  fc.tuple(fc.array(line, { maxLength: 20 }), ends).map(([lines, end]) => lines.join(end));

test('ACL files', () => {
  fc.assert(fc.property(files(aclLine), aclSurvives), { numRuns: sized(1_000, 10_000) });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), aclSurvives), { numRuns: 1_000 });
});

test('password files', () => {
  fc.assert(fc.property(files(passwordLine), passwordsSurvive), { numRuns: sized(1_000, 10_000) });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), passwordsSurvive), { numRuns: 1_000 });
});

const good = [
  `ann:$7$101$c29tZXNhbHQ$${digest}`,
  `bob:$6$c29tZXNhbHQ$${digest}`,
  'cat:$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHQ',
  '# a comment',
  '',
].join('\n');

test('a password file with any byte changed, and one cut off anywhere', () => {
  const bytes = Buffer.from(good);
  for (let i = 0; i < bytes.length; i++) {
    passwordsSurvive(bytes.subarray(0, i));
    for (const value of [0, 0x0a, 0x20, 0x24, 0x3a, 0x3d, 0xff]) {
      const changed = Buffer.from(bytes);
      changed[i] = value;
      passwordsSurvive(changed);
    }
  }
});

test('edits of any password file keep what they are not about', () => {
  const hash = `$6$c29tZXNhbHQ$${digest}`;
  const others = (source: Uint8Array) =>
    Array.from(PasswordFile.parse(source, 'pw').users.values(), ({ name, hashText }) => `${name}:${hashText}`).filter(
      (line) => !line.startsWith('ann:'),
    );
  fc.assert(
    fc.property(
      fc.oneof(
        files(passwordLine).map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 300 }),
      ),
      (source) => {
        const before = Buffer.from(source);
        try {
          const { bytes } = setUser(source, 'ann', hash);
          expect(PasswordFile.parse(bytes, 'pw').users.get('ann')?.hashText).toBe(hash);
          expect(others(bytes)).toEqual(others(source));
          const removed = removeUser(bytes, 'ann');
          expect(removed.isFound).toBe(true);
          expect(PasswordFile.parse(removed.bytes, 'pw').users.has('ann')).toBe(false);
          expect(others(removed.bytes)).toEqual(others(source));
        } catch (error) {
          if (!(error instanceof CorruptPasswordFile)) throw error;
        }
        expect(Buffer.from(source).equals(before)).toBe(true);
      },
    ),
    { numRuns: sized(700, 10_000) },
  );
});

test('hashing any file hashes each password and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(files(fc.oneof(passwordLine, fc.constant('u:p'), fc.constant('# c'))), async (text) => {
      const seen: number[] = [];
      try {
        const { userCount, bytes } = await hashUsers(Buffer.from(text), async (_password, line) => {
          seen.push(line);
          return 'HASH';
        });
        expect(seen).toHaveLength(userCount);
        expect(
          Buffer.from(bytes)
            .toString('latin1')
            .match(/:HASH\n/g) ?? [],
        ).toHaveLength(userCount);
      } catch (error) {
        if (!(error instanceof CorruptPasswordFile)) throw error;
        expect(seen).toEqual([]);
      }
    }),
    { numRuns: 1_000 },
  );
});

test.each([
  ['blanks', `${' '.repeat(1_000_000)}topic${' '.repeat(1_000_000)}a`],
  ['a filter', `topic read ${'a/'.repeat(500_000)}`],
  ['colons', `${':'.repeat(1_000_000)}a`],
  ['dollars', `u:${'$'.repeat(1_000_000)}6$x`],
  ['equal signs', `u:$6$${'='.repeat(1_000_000)}a$x`],
  ['digits', `u:$7$${'9'.repeat(1_000_000)}$x$x`],
])('a line of a million characters takes no time to speak of: %s', (_, text) => {
  const startedAt = performance.now();
  passwordsSurvive(text);
  aclSurvives(text);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});
