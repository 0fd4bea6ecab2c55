// Hot path: who may publish and receive what. Benchmark: test/auth/acl-bench.ts.
import { parseSharedFilter } from '../protocol/topic.ts';
import { type ClientNames, type ClientTopics, Coverage, type Identity, type TopicAccess } from './access-control.ts';
import type { AclFile } from './acl-file.ts';
import { Rights, TopicRules } from './topic-rules.ts';

/** Decisions kept per client; when they are full, all are forgotten. */
const MOST_DECISIONS = 256;
/** The same where many clients share them. */
const MOST_SHARED_DECISIONS = 16_384;
/** Clients whose decisions are kept for callers that ask by identity each time. */
const MOST_CLIENTS = 1_024;

/**
 * The rules of an `acl_file`, immutable: a reload makes a new one.
 *
 * A client's own section is asked first (that of its user name, or the anonymous one): `deny` there wins, then
 * `read` or `write`. What it leaves open, the patterns decide in the same way. All else is refused. SUBSCRIBE is granted
 * whatever the filter, as in Mosquitto: what is not readable does not arrive.
 */
export class AclAccess implements TopicAccess {
  private readonly anonymous: TopicRules;
  private readonly users: ReadonlyMap<string, TopicRules>;
  private readonly noRules = new TopicRules([], false);
  private readonly patterns: TopicRules | null;
  /** Where there are no patterns, all clients of a section are alike. */
  private readonly shared = new Map<TopicRules, AclClient>();
  private readonly recent = new Map<string, AclClient>();

  constructor({ anonymous, users, patterns }: AclFile) {
    this.anonymous = new TopicRules(anonymous, false);
    this.users = new Map(Array.from(users, ([name, rules]) => [name, new TopicRules(rules, false)]));
    this.patterns = patterns.length === 0 ? null : new TopicRules(patterns, true);
  }

  forClient({ clientId, username }: ClientNames): ClientTopics {
    return this.client(clientId, username === '' ? null : username);
  }

  private client(clientId: string, username: string | null): AclClient {
    const section = username === null ? this.anonymous : (this.users.get(username) ?? this.noRules);
    if (this.patterns !== null) return new AclClient(section, this.patterns, clientId, username, MOST_DECISIONS);
    let client = this.shared.get(section);
    if (client === undefined) {
      client = new AclClient(section, null, '', null, MOST_SHARED_DECISIONS);
      this.shared.set(section, client);
    }
    return client;
  }

  canPublish({ clientId, username }: Identity, topicName: string): boolean {
    return this.recentClient(clientId, username === '' ? null : username).canPublish(topicName);
  }

  canSubscribe(): boolean {
    return true;
  }

  private recentClient(clientId: string, username: string | null): AclClient {
    if (this.patterns === null) return this.client(clientId, username);
    const { recent } = this;
    const key = username === null ? clientId : `${username}\0${clientId}`;
    let client = recent.get(key);
    if (client === undefined) {
      if (recent.size >= MOST_CLIENTS) recent.clear();
      client = this.client(clientId, username);
      recent.set(key, client);
    }
    return client;
  }
}

/** Decisions are two bits, `Rights.read` and `Rights.write`, and both are made at once. */
class AclClient implements ClientTopics, ClientNames {
  readonly clientId: string;
  readonly username: string | null;
  readonly warning: string | null;
  private readonly section: TopicRules;
  /** Null where there are none, or none may help this client. */
  private readonly patterns: TopicRules | null;
  private readonly mostDecisions: number;
  private decisions: Map<string, number> | null = null;

  constructor(
    section: TopicRules,
    patterns: TopicRules | null,
    clientId: string,
    username: string | null,
    mostDecisions: number,
  ) {
    this.section = section;
    this.clientId = clientId;
    this.username = username;
    this.mostDecisions = mostDecisions;
    // A name with a wildcard in it would turn a pattern into a rule for others.
    const isDangerous = (name: string | null) => name !== null && /[+#]/.test(name);
    const dangerous =
      patterns === null
        ? null
        : isDangerous(username)
          ? `username "${username}"`
          : isDangerous(clientId)
            ? `client id "${clientId}"`
            : null;
    this.warning = dangerous === null ? null : `ACL denying access to client with dangerous ${dangerous}`;
    this.patterns = dangerous === null ? patterns : null;
  }

  canPublish(topicName: string): boolean {
    return (this.decide(topicName) & Rights.write) !== 0;
  }

  canReceive(topicName: string): boolean {
    return (this.decide(topicName) & Rights.read) !== 0;
  }

  private decide(topicName: string): number {
    const known = this.decisions?.get(topicName);
    if (known !== undefined) return known;
    const decision = this.weigh(topicName);
    if (this.decisions === null) this.decisions = new Map();
    else if (this.decisions.size >= this.mostDecisions) this.decisions.clear();
    this.decisions.set(topicName, decision);
    return decision;
  }

  private weigh(topicName: string): number {
    const own = this.section.rightsFor(topicName, this);
    if ((own & Rights.deny) !== 0) return 0;
    if (this.patterns === null) return own;
    const general = this.patterns.rightsFor(topicName, this);
    return (general & Rights.deny) !== 0 ? own : own | general;
  }

  coverage(topicFilter: string): Coverage {
    const plain = parseSharedFilter(topicFilter)?.topicFilter ?? topicFilter;
    const { section, patterns } = this;
    const { read, deny } = Rights;
    if (section.covers(plain, deny, this)) return Coverage.none;
    const isFree = !section.overlaps(plain, deny, this);
    if (isFree && section.covers(plain, read, this)) return Coverage.all;
    const isOpen = patterns !== null && patterns.overlaps(plain, read, this) && !patterns.covers(plain, deny, this);
    if (!isOpen) return section.overlaps(plain, read, this) ? Coverage.some : Coverage.none;
    const isOpenToAll = isFree && patterns.covers(plain, read, this) && !patterns.overlaps(plain, deny, this);
    return isOpenToAll ? Coverage.all : Coverage.some;
  }
}
