// `password_file`: the users that may log in, and the hashes of their passwords.
import { type ConfigProblem, quoted } from '../config/config-error.ts';
import { fileLines, trimBlanks } from './file-lines.ts';
import { HashKind, type PasswordHash, PasswordHashError, parsePasswordHash } from './password-hash.ts';

export class User {
  readonly name: string;
  readonly hash: PasswordHash;
  /** The hash as it stands in the file. */
  readonly hashText: string;
  /** The password that was found right, sealed by the `PasswordChecker` that alone writes and reads it; or null. */
  verified: Uint8Array | null = null;
  /** The same for the hash that stood here before the file was read anew: its clients may still be connected. */
  formerly: Uint8Array | null = null;

  constructor(name: string, hash: PasswordHash, hashText: string) {
    this.name = name;
    this.hash = hash;
    this.hashText = hashText;
  }
}

/**
 * The users of one file, immutable but for what was verified: a reload makes a new one.
 *
 * Lines are `USER:HASH`, where blanks around either do not count and all behind a second colon is ignored; `#` in the
 * first column begins a comment and a line without a colon is none of a user. A line that is wrong makes no user, and
 * the first of two lines for one user counts: as in Mosquitto, which goes on without them too, since a fleet should not
 * be locked out for one bad line.
 */
export class PasswordFile {
  readonly users: ReadonlyMap<string, User>;
  /** Lines without effect, and why; they hold no hash and no password. */
  readonly problems: readonly ConfigProblem[];
  /** One user for each cost of checking that occurs: who is unknown is made to cost as much as one of them. */
  private readonly decoys: readonly User[];
  private readonly decoySeed = crypto.getRandomValues(new BigUint64Array(1))[0]!;

  private constructor(users: ReadonlyMap<string, User>, problems: readonly ConfigProblem[]) {
    this.users = users;
    this.problems = problems;
    const byCost = new Map<string, User>();
    for (const user of users.values()) byCost.set(costOf(user.hash), user);
    this.decoys = Array.from(byCost.values());
  }

  /** @param file its name, for messages */
  static parse(source: Uint8Array | string, file: string): PasswordFile {
    const users = new Map<string, User>();
    const problems: ConfigProblem[] = [];
    for (const { number, text, problem } of fileLines(source)) {
      const refuse = (reason: string) => problems.push({ file, line: number, text: `${reason}; the line is ignored` });
      if (problem !== null) {
        refuse(problem);
        continue;
      }
      const fields = splitUserLine(text);
      if (fields === null) continue;
      const { name, hashText } = fields;
      if (name === '') refuse('the user name is empty');
      else if (name.length > 65_535) refuse('the user name is too long');
      else if (users.has(name)) refuse(`user ${quoted(name)} has a line above`);
      else if (hashText === '') refuse(`user ${quoted(name)} has no password`);
      else {
        try {
          users.set(name, new User(name, parsePasswordHash(hashText), hashText));
        } catch (error) {
          if (!(error instanceof PasswordHashError)) throw error;
          refuse(`user ${quoted(name)}: ${error.message}`);
        }
      }
    }
    return new PasswordFile(users, problems);
  }

  /** Somebody whose hash takes the place of that of an unknown user, the same one each time; null without any users. */
  decoyFor(name: string): User | null {
    const { decoys } = this;
    if (decoys.length < 2) return decoys[0] ?? null;
    return decoys[Number(Bun.hash.wyhash(name, this.decoySeed) % BigInt(decoys.length))]!;
  }

  /** Takes over what was verified: as right for users whose hash is the same, else to be checked anew. Returns itself. */
  inherit(previous: PasswordFile): this {
    for (const user of this.users.values()) {
      const before = previous.users.get(user.name);
      if (before === undefined) continue;
      if (before.hashText === user.hashText) {
        user.verified = before.verified;
        user.formerly = before.formerly;
      } else user.formerly = before.verified ?? before.formerly;
    }
    return this;
  }
}

/** The same text for hashes that take the same time to check. */
function costOf(hash: PasswordHash): string {
  switch (hash.kind) {
    case HashKind.sha512:
      return hash.kind;
    case HashKind.pbkdf2:
      return `${hash.kind} ${hash.iterations}`;
    case HashKind.argon2id:
      return `${hash.kind} ${hash.memoryKib} ${hash.passes} ${hash.lanes}`;
  }
}

/** Name and hash; null where the line is a comment, blank or otherwise none of a user. Either may be empty. */
export function splitUserLine(text: string): { name: string; hashText: string } | null {
  if (text.startsWith('#') || !text.includes(':')) return null;
  // C's strtok: rows of colons count as one, and leading ones not at all.
  const [name, hashText = ''] = text.split(':').filter((field) => field !== '');
  return name === undefined ? null : { name: trimBlanks(name), hashText: trimBlanks(hashText) };
}
