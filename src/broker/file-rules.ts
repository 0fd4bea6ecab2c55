import type { LoginControl } from '../auth/access-control.ts';
import { AclAccess } from '../auth/acl-access.ts';
import { FileAccess } from '../auth/file-access.ts';
import { loadAclFile, loadPasswordFile } from '../auth/load-files.ts';
import { LoginLimiter } from '../auth/login-limiter.ts';
import { PasswordChecker } from '../auth/password-checker.ts';
import type { Config } from '../config/config.ts';
import type { ConfigProblem } from '../config/config-error.ts';
import { systemClock } from '../session/clock.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { type Logger, LogLevel } from './log.ts';
import { ReasonCode } from '../protocol/reason-code.ts';

/** The access rules of `allow_anonymous`, `password_file` and `acl_file`; what they learned outlives a reload. */
export class FileRules {
  private readonly config: Config;
  private readonly log: Logger;
  private readonly checker = new PasswordChecker();
  private readonly limiter = new LoginLimiter(() => systemClock.monotonicMs());
  private current: FileAccess;
  private passwords: ReturnType<typeof loadPasswordFile>['file'] | null = null;

  /** @throws ConfigError where a file cannot be read or is wrong */
  constructor(config: Config, log: Logger) {
    this.config = config;
    this.log = log;
    this.current = this.load();
  }

  get access(): LoginControl {
    return this.current;
  }

  private load(): FileAccess {
    const { passwordFile, aclFile, allowAnonymous, listeners } = this.config;
    const passwords = passwordFile === null ? null : loadPasswordFile(passwordFile);
    const acl = aclFile === null ? null : loadAclFile(aclFile);
    for (const one of [...(passwords?.warnings ?? []), ...(acl?.warnings ?? [])]) this.warn(one);
    if (passwords !== null && this.passwords !== null) passwords.file.inherit(this.passwords);
    this.passwords = passwords?.file ?? null;
    return new FileAccess({
      allowAnonymous: allowAnonymous ?? listeners.length === 0,
      passwords: this.passwords,
      topics: acl === null ? null : new AclAccess(acl.file),
      checker: this.checker,
      limiter: this.passwords === null ? null : this.limiter,
    });
  }

  private warn({ file, line, text }: ConfigProblem): void {
    if (this.log.level < LogLevel.warning) return;
    this.log.log(LogLevel.warning, `Warning: ${line === null ? '' : `${file}:${line}: `}${text}`);
  }

  /**
   * Reads the files anew. Clients whose user is gone or has another password are disconnected, as Mosquitto does; the
   * others have the new rules from their next message on.
   *
   * @throws ConfigError where a file cannot be read or is wrong: the rules stay as they were
   */
  reload(broker: Broker): void {
    const previous = this.current;
    this.current = this.load();
    broker.replaceAccess(this.current);
    for (const session of broker.sessions.values()) {
      const link = session.link as ClientConnection | null;
      if (link === null || link.transportUsername !== null || this.current.keeps(session, previous)) continue;
      link.fail(ReasonCode.administrativeAction, 'not authorised');
    }
  }
}
