// What `allow_anonymous`, `password_file` and `acl_file` say together.
import { ReasonCode } from '../protocol/reason-code.ts';
import type { ClientNames, Identity, LoginAnswer, LoginControl, TopicAccess } from './access-control.ts';
import type { LoginLimiter } from './login-limiter.ts';
import type { PasswordChecker } from './password-checker.ts';
import type { PasswordFile } from './password-file.ts';

export interface FileAccessParts {
  readonly allowAnonymous: boolean;
  /** Null without `password_file`. */
  readonly passwords: PasswordFile | null;
  /** Null without `acl_file`. */
  readonly topics: TopicAccess | null;
  /** Outlives reloads. */
  readonly checker: PasswordChecker;
  /** Null: failed logins are not limited. Outlives reloads. */
  readonly limiter: LoginLimiter | null;
}

/** Of a connected client after a reload; `unknown`: its password must be checked against another hash. */
export const Standing = { goes: 0, stays: 1, unknown: 2 } as const;
export type Standing = (typeof Standing)[keyof typeof Standing];

/**
 * The access control of one listener or of all, immutable: a reload makes a new one.
 *
 * A client without a user name (an empty one is none) gets in by `allow_anonymous`. So does one with a user name where
 * no file could tell who it is, as in Mosquitto. What a client may not know is all answered alike: `notAuthorized`.
 */
export class FileAccess implements LoginControl {
  readonly topics: TopicAccess | null;
  private readonly parts: FileAccessParts;

  constructor(parts: FileAccessParts) {
    this.parts = parts;
    this.topics = parts.topics;
  }

  authenticate(
    { username, address }: Identity,
    password: Uint8Array | null,
    isWanted: () => boolean = () => true,
  ): LoginAnswer {
    const { passwords, checker, limiter } = this.parts;
    if (passwords === null || username === null || username === '') return this.anonymous();
    // An empty password is none, as in Mosquitto, even if the file has a hash of it.
    if (password === null || password.length === 0) return ReasonCode.notAuthorized;
    if (limiter === null) return checker.check(passwords, username, password, isWanted);
    if (limiter.isBlocked(address, username)) return ReasonCode.connectionRateExceeded;
    // Asked again when it has waited: others from there may have failed meanwhile.
    const mayStart = () => isWanted() && !limiter.isBlocked(address, username);
    const answer = checker.check(passwords, username, password, mayStart);
    if (typeof answer === 'number') return this.count(answer, address, username);
    return answer.then((later) => this.count(later, address, username));
  }

  private anonymous(): ReasonCode {
    return this.parts.allowAnonymous ? ReasonCode.success : ReasonCode.notAuthorized;
  }

  private count(answer: ReasonCode, address: string, username: string): ReasonCode {
    const { limiter } = this.parts;
    if (answer === ReasonCode.notAuthorized) limiter?.failed(address, username);
    else if (answer === ReasonCode.success) limiter?.succeeded(address, username);
    return answer;
  }

  /** After a reload: whether a client that was let in before may stay, as far as can be told at once. */
  standing({ username }: ClientNames): Standing {
    const { passwords } = this.parts;
    if (passwords === null || username === null || username === '') {
      return this.parts.allowAnonymous ? Standing.stays : Standing.goes;
    }
    const user = passwords.users.get(username);
    if (user === undefined) return Standing.goes;
    if (user.verified !== null) return Standing.stays;
    return user.formerly === null ? Standing.goes : Standing.unknown;
  }

  /** Whether a client of unknown standing may stay. */
  async recheck({ username }: ClientNames, isWanted: () => boolean): Promise<boolean> {
    const { passwords, checker } = this.parts;
    return passwords !== null && username !== null && (await checker.recheck(passwords, username, isWanted));
  }
}
