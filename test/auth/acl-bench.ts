/**
 * What an access decision and a login cost: nanoseconds each, best of several rounds. Not part of the suite.
 *
 *   bun test/auth/acl-bench.ts
 */
import { AclAccess } from '../../src/auth/acl-access.ts';
import { parseAclFile } from '../../src/auth/acl-file.ts';
import { PasswordChecker } from '../../src/auth/password-checker.ts';
import { PasswordFile } from '../../src/auth/password-file.ts';
import { formatPasswordHash, HashKind, hashPassword } from '../../src/auth/password-hash.ts';

const ROUNDS = 7;

/** @param run gives a number that depends on the work, so that none of it can be left out */
function measure(name: string, times: number, run: (i: number) => number): void {
  let best = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = performance.now();
    for (let i = 0; i < times; i++) sum += run(i);
    best = Math.min(best, ((performance.now() - startedAt) * 1e6) / times);
  }
  console.log(`${name.padEnd(60)} ${best.toFixed(0).padStart(8)} ns  (${sum % 10})`);
}

const topics = Array.from({ length: 200 }, (_, i) => `site/${i % 10}/device/${i}/temperature`);
const plain = new AclAccess(parseAclFile('user u\ntopic read site/#\ntopic write cmd/+/x\n', 'acl'));
const patterns = new AclAccess(parseAclFile('pattern read site/+/device/%c/#\npattern write %u/x\n', 'acl'));
const many = parseAclFile(
  `user u\n${Array.from({ length: 2_000 }, (_, i) => `topic read dev/${i}/+`).join('\n')}`,
  'acl',
);
const shared = plain.forClient({ clientId: 'c', username: 'u' });
const own = patterns.forClient({ clientId: '5', username: 'u' });
const crowd = Array.from({ length: 5_000 }, (_, i) => patterns.forClient({ clientId: `${i}`, username: 'u' }));
const large = new AclAccess(many).forClient({ clientId: 'c', username: 'u' });
const identity = { clientId: '5', username: 'u', address: '' };

let next = 0;
measure('canReceive, known topic, rules of a user', 1_000_000, (i) => +shared.canReceive(topics[i % 200]!));
measure('canReceive, known topic, patterns', 1_000_000, (i) => +own.canReceive(topics[i % 200]!));
measure(
  'canReceive, one topic to 5,000 clients, patterns',
  1_000_000,
  (i) => +crowd[i % 5_000]!.canReceive(topics[5]!),
);
measure('canPublish by identity, patterns', 500_000, (i) => +patterns.canPublish(identity, topics[i % 200]!));
measure('canReceive, new topic, 2 rules', 200_000, () => +shared.canReceive(`site/${next++}/a/b/c`));
measure('canReceive, new topic, 2 patterns', 200_000, () => +own.canReceive(`site/${next++}/device/5/c`));
measure('canReceive, new topic, 2,000 rules', 200_000, () => +large.canReceive(`dev/${next % 2_000}/${next++}`));
measure('coverage, 2 rules', 100_000, () => shared.coverage('site/+/device/#'));

const password = new TextEncoder().encode('correct horse');
for (const [kind, iterations] of [
  [HashKind.sha512, 1],
  [HashKind.pbkdf2, 101],
  [HashKind.pbkdf2, 1_000],
  [HashKind.argon2id, 1],
] as const) {
  const line = `u:${formatPasswordHash(await hashPassword(password, kind, iterations))}`;
  const name = `${kind}${kind === HashKind.pbkdf2 ? ` ${iterations}` : ''}`;
  let best = Number.POSITIVE_INFINITY;
  const checker = new PasswordChecker();
  for (let round = 0; round < ROUNDS; round++) {
    const file = PasswordFile.parse(line, 'pw');
    const startedAt = performance.now();
    await checker.check(file, 'u', password);
    best = Math.min(best, performance.now() - startedAt);
  }
  console.log(`${`login, ${name}`.padEnd(60)} ${(best * 1e6).toFixed(0).padStart(8)} ns`);
  const file = PasswordFile.parse(line, 'pw');
  await checker.check(file, 'u', password);
  measure(`login again, ${name}`, 50_000, () => (checker.check(file, 'u', password) === 0 ? 1 : 0));
}
