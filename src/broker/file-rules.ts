import type { LoginControl, TopicAccess } from '../auth/access-control.ts';
import { AclAccess } from '../auth/acl-access.ts';
import type { AclFile } from '../auth/acl-file.ts';
import type { ClientIdRules } from '../auth/client-id-rules.ts';
import { FileAccess, Standing } from '../auth/file-access.ts';
import { ListenerTopics } from '../auth/listener-topics.ts';
import { loadAclFile, loadPasswordFile } from '../auth/load-files.ts';
import { LoginLimiter } from '../auth/login-limiter.ts';
import { PasswordChecker } from '../auth/password-checker.ts';
import type { PasswordFile } from '../auth/password-file.ts';
import { type Config, type ListenerConfig, type SecurityConfig, securityOf } from '../config/config.ts';
import { ConfigError, type ConfigProblem } from '../config/config-error.ts';
import type { ProtocolVersion } from '../protocol/packet-type.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { systemClock } from '../session/clock.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import type { ListenerInfo } from './listener-info.ts';
import { type Logger, LogType } from './log.ts';

/** A listener as the configuration has it, and as the broker knows it. */
export interface RuledListener {
  readonly config: ListenerConfig;
  readonly info: ListenerInfo;
}

/** What the files say that a configuration names; each is read once. */
class RuleFiles {
  readonly passwords = new Map<string, PasswordFile>();
  readonly acls = new Map<string, AclFile>();
  readonly warnings: ConfigProblem[] = [];

  /** @throws ConfigError with all that is wrong */
  constructor(securities: Iterable<SecurityConfig>, previous: RuleFiles | null) {
    const problems: ConfigProblem[] = [];
    const attempt = (read: () => void) => {
      try {
        read();
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        problems.push(...error.problems);
      }
    };
    for (const { passwordFile, aclFile } of securities) {
      if (passwordFile !== null && !this.passwords.has(passwordFile)) {
        attempt(() => this.readPasswords(passwordFile, previous));
      }
      if (aclFile !== null && !this.acls.has(aclFile)) attempt(() => this.readAcl(aclFile));
    }
    if (problems.length > 0) throw new ConfigError(problems);
  }

  private readPasswords(path: string, previous: RuleFiles | null): void {
    const { file, warnings } = loadPasswordFile(path);
    const before = previous?.passwords.get(path);
    this.passwords.set(path, before === undefined ? file : file.inherit(before));
    this.warnings.push(...warnings);
  }

  private readAcl(path: string): void {
    const { file, warnings } = loadAclFile(path);
    this.acls.set(path, file);
    this.warnings.push(...warnings);
  }
}

/**
 * Reads the files of users and rules, and makes nothing of them.
 *
 * @returns what is to be said of them, though they can be used
 * @throws ConfigError with all that is wrong
 */
export function checkRuleFiles(config: Config): readonly ConfigProblem[] {
  return new RuleFiles(securitiesOf(config), null).warnings;
}

/** Rules that differ between listeners: who comes in, and the topics below a mount point. */
interface OwnRules {
  readonly access: FileAccess;
  readonly topics: ListenerTopics | null;
}

/**
 * The access rules of `allow_anonymous`, `password_file` and `acl_file`, for all listeners and for those with their own;
 * what they learned outlives a reload.
 */
export class FileRules {
  private config: Config;
  /** The listeners as they were opened; those of `config` after a reload have the same index. */
  private readonly opened: readonly ListenerConfig[];
  private readonly log: Logger;
  private readonly checker = new PasswordChecker();
  private readonly limiter = new LoginLimiter(() => systemClock.monotonicMs());
  private files: RuleFiles;
  private shared: FileAccess;
  /** Of `config.listeners`, by their index; null: the shared ones. */
  private own: (OwnRules | null)[] = [];

  /** @throws ConfigError where a file cannot be read or is wrong */
  constructor(config: Config, log: Logger) {
    this.config = config;
    this.opened = config.listeners;
    this.log = log;
    this.files = new RuleFiles(securitiesOf(config), null);
    this.shared = this.build();
  }

  /** For the listeners that have no rules of their own. */
  get access(): LoginControl {
    return this.shared;
  }

  /** The rules that a listener has of its own, as it was opened; null: the shared ones. */
  accessOf(listener: ListenerConfig): LoginControl | null {
    return this.own[this.opened.indexOf(listener)]?.access ?? null;
  }

  /** A listener as the configuration has it now. */
  private now(opened: ListenerConfig): ListenerConfig {
    return this.config.listeners[this.opened.indexOf(opened)] ?? opened;
  }

  acceptedVersionsOf(listener: ListenerConfig): ReadonlySet<ProtocolVersion> | null {
    const { acceptedVersions } = this.now(listener);
    return acceptedVersions === null ? null : new Set(acceptedVersions);
  }

  /** A login failed before CONNECT: what was guessed is held against the address, as a wrong password is. */
  failedEarly(address: string, name: string): void {
    this.limiter.failed(address, name);
  }

  clientIdsOf(listener: ListenerConfig): ClientIdRules {
    const now = this.now(listener);
    const { allowZeroLengthClientid, autoIdPrefix } = securityOf(this.config, now);
    const { clientidPrefixes: requiredPrefix } = this.config;
    const { useUsernameAsClientid } = now;
    return { allowZeroLengthClientid, autoIdPrefix, requiredPrefix, useUsernameAsClientid };
  }

  /** Makes the rules of what the files say now. */
  private build(): FileAccess {
    for (const one of this.files.warnings) this.warn(one);
    const { config } = this;
    const sharedTopics = this.topicsOf(config.security);
    const shared = this.fileAccess(config.security, sharedTopics);
    const isOneAcl = new Set(securitiesOf(config).map(({ aclFile }) => aclFile)).size === 1;
    this.own = config.listeners.map((listener, index) => {
      if (listener.security === null && listener.mountPoint === null) return null;
      const security = securityOf(config, listener);
      let topics = this.own[index]?.topics ?? null;
      if (topics === null && (!isOneAcl || listener.mountPoint !== null)) {
        topics = new ListenerTopics(listener.mountPoint ?? '');
      }
      if (topics !== null) topics.rules = isOneAcl ? sharedTopics : this.topicsOf(security);
      return { topics, access: this.fileAccess(security, topics ?? sharedTopics) };
    });
    return shared;
  }

  private topicsOf({ aclFile }: SecurityConfig): TopicAccess | null {
    return aclFile === null ? null : new AclAccess(this.files.acls.get(aclFile)!);
  }

  private fileAccess({ allowAnonymous, passwordFile }: SecurityConfig, topics: TopicAccess | null): FileAccess {
    const passwords = passwordFile === null ? null : this.files.passwords.get(passwordFile)!;
    return new FileAccess({
      allowAnonymous: allowAnonymous ?? this.config.listeners.length === 0,
      passwords,
      topics,
      checker: this.checker,
      limiter: passwords === null ? null : this.limiter,
    });
  }

  private warn({ file, line, text }: ConfigProblem): void {
    if ((this.log.types & LogType.warning) === 0) return;
    this.log.log(LogType.warning, `Warning: ${line === null ? '' : `${file}:${line}: `}${text}`);
  }

  /**
   * Reads the files anew. Clients that would not get in any more are disconnected, as Mosquitto does; the others have the
   * new rules from their next message on. A client whose user has another hash stays until its password was checked
   * against that.
   *
   * @param config may be another one than before, with the same listeners in the same order
   * @param listeners those that are open
   * @throws ConfigError where a file cannot be read or is wrong: the rules stay as they were
   */
  reload(broker: Broker, config: Config, listeners: readonly RuledListener[]): void {
    this.files = new RuleFiles(securitiesOf(config), this.files);
    this.config = config;
    this.shared = this.build();
    for (const { info, config: listener } of listeners) {
      info.access = this.accessOf(listener);
      info.clientIds = this.clientIdsOf(listener);
      info.acceptedVersions = this.acceptedVersionsOf(listener);
    }
    broker.replaceAccess(this.shared);
    const unknown: Unknown[] = [];
    for (const session of broker.sessions.values()) {
      const connection = session.link as ClientConnection | null;
      if (connection === null || connection.transportUsername !== null) continue;
      const access = broker.accessOf(connection.listener) as FileAccess;
      const standing = access.standing(session);
      if (standing === Standing.unknown) unknown.push({ connection, access });
      else if (standing === Standing.goes) endUnauthorized(connection);
    }
    if (unknown.length > 0) void recheckAll(broker, unknown);
  }
}

/** A connected client whose password is to be checked by the rules of a reload, even if another one follows. */
interface Unknown {
  readonly connection: ClientConnection;
  readonly access: FileAccess;
}

/** One after the other: logins go on meanwhile. */
async function recheckAll(broker: Broker, all: readonly Unknown[]): Promise<void> {
  for (const { connection, access } of all) {
    const { session } = connection;
    if (session === null || !connection.isOpen) continue;
    try {
      if (await access.recheck(session, () => connection.isOpen)) continue;
    } catch (error) {
      broker.reportFault(connection.label, error);
    }
    endUnauthorized(connection);
  }
}

function endUnauthorized(connection: ClientConnection): void {
  if (connection.isOpen) connection.fail(ReasonCode.administrativeAction, 'not authorised');
}

function securitiesOf(config: Config): SecurityConfig[] {
  const own = config.listeners.flatMap(({ security }) => (security === null ? [] : [security]));
  // With `per_listener_settings` what stands for all may be for none.
  const isShared = own.length === 0 || own.length < config.listeners.length;
  return [...new Set(isShared ? [config.security, ...own] : own)];
}
