import { type ClientNames, type ClientTopics, Coverage, type Identity, type TopicAccess } from './access-control.ts';
import { parseSharedFilter } from '../protocol/topic.ts';

/**
 * The rules for the clients of one listener, where not all listeners have the same. A reload changes what is in it while
 * it stays itself, so a session whose client is away goes on under the listener it was connected to last, as in
 * Mosquitto.
 */
export class ListenerTopics implements TopicAccess {
  /** Null: no `acl_file`. */
  rules: TopicAccess | null = null;
  /** `mount_point`: clients see nothing of what does not begin with it; empty: all topics. */
  readonly mountPoint: string;

  constructor(mountPoint: string) {
    this.mountPoint = mountPoint;
  }

  canPublish(identity: Identity, topicName: string): boolean {
    return this.rules === null || this.rules.canPublish(identity, topicName);
  }

  canSubscribe(identity: Identity, topicFilter: string): boolean {
    return this.rules === null || this.rules.canSubscribe(identity, topicFilter);
  }

  forClient(client: ClientNames): ClientTopics {
    return new OwnedTopics(this, this.rules?.forClient?.(client) ?? null);
  }
}

/** Filters that, behind a mount point, match it with nothing behind. */
const matchNothingMore: ReadonlySet<string> = new Set(['', '#', '+', '/#']);

class OwnedTopics implements ClientTopics {
  readonly owner: ListenerTopics;
  private readonly rules: ClientTopics | null;

  constructor(owner: ListenerTopics, rules: ClientTopics | null) {
    this.owner = owner;
    this.rules = rules;
  }

  get warning(): string | null {
    return this.rules === null ? null : this.rules.warning;
  }

  canPublish(topicName: string): boolean {
    return this.rules === null || this.rules.canPublish(topicName);
  }

  canReceive(topicName: string): boolean {
    return this.isMounted(topicName) && (this.rules === null || this.rules.canReceive(topicName));
  }

  /** The mount point alone is no topic for the client: nothing would be left of it. */
  private isMounted(topicName: string): boolean {
    const { mountPoint } = this.owner;
    return mountPoint === '' || (topicName.length > mountPoint.length && topicName.startsWith(mountPoint));
  }

  coverage(topicFilter: string): Coverage {
    const covered = this.rules === null ? Coverage.all : this.rules.coverage(topicFilter);
    const { mountPoint } = this.owner;
    if (covered !== Coverage.all || mountPoint === '') return covered;
    const plain = parseSharedFilter(topicFilter)?.topicFilter ?? topicFilter;
    const rest = plain.startsWith(mountPoint) ? plain.slice(mountPoint.length) : '';
    return matchNothingMore.has(rest) ? Coverage.some : Coverage.all;
  }
}
