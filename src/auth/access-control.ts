import { ReasonCode } from '../protocol/reason-code.ts';

/** What is known of a client when it asks for something. */
export interface Identity {
  readonly clientId: string;
  readonly username: string | null;
  readonly address: string;
}

/** An answer now, or later where checking a password takes too long for the event loop. The promise never rejects. */
export type LoginAnswer = ReasonCode | Promise<ReasonCode>;

/** Decides who may connect, publish and subscribe. */
export interface LoginControl {
  /**
   * `success` is yes.
   *
   * @param isWanted asked when a login that had to wait has its turn; false, as when the client is gone, spares the work
   */
  authenticate(identity: Identity, password: Uint8Array | null, isWanted?: () => boolean): LoginAnswer;
  /** Null: everyone may publish and receive everything, and the road of a message asks nothing. */
  readonly topics: TopicAccess | null;
}

/** One that always answers at once. */
export interface AccessControl extends LoginControl {
  authenticate(identity: Identity, password: Uint8Array | null): ReasonCode;
}

export interface TopicAccess {
  canPublish(identity: Identity, topicName: string): boolean;
  canSubscribe(identity: Identity, topicFilter: string): boolean;
  /**
   * What one client may do. The caller keeps it as long as the client's session and these rules live, so that the road
   * of a message needs no look-up by name. Absent where a client may receive all it could subscribe to.
   */
  forClient?(client: ClientNames): ClientTopics;
}

export type ClientNames = Pick<Identity, 'clientId' | 'username'>;

/** How much of what a Topic Filter matches. */
export const Coverage = { none: 0, some: 1, all: 2 } as const;
export type Coverage = (typeof Coverage)[keyof typeof Coverage];

export interface ClientTopics {
  canPublish(topicName: string): boolean;
  /** Asked for each message on its way to the client, retained ones and those of its queue among them. */
  canReceive(topicName: string): boolean;
  /**
   * How much of what the filter can ever match the client may receive. With `all` and `none` nobody needs to ask
   * `canReceive`; `some` says no more than that one must. A shared filter counts as the filter in it.
   */
  coverage(topicFilter: string): Coverage;
  /** Why this client gets less than the rules may seem to say, as a line for the log; null in general. */
  readonly warning: string | null;
  /** Where the client's rules come from, if not all clients have the same; absent: from the broker's only ones. */
  readonly owner?: TopicAccess;
}

/** `allow_anonymous` without any file of users: a client with a user name is as anonymous as one without. */
export class AnonymousAccess implements AccessControl {
  readonly topics = null;
  private readonly allowed: boolean;

  constructor(allowed: boolean) {
    this.allowed = allowed;
  }

  authenticate(): ReasonCode {
    return this.allowed ? ReasonCode.success : ReasonCode.notAuthorized;
  }
}
