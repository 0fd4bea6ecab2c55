import { ReasonCode } from '../protocol/reason-code.ts';

/** What is known of a client when it asks for something. */
export interface Identity {
  readonly clientId: string;
  readonly username: string | null;
  readonly address: string;
}

/** Decides who may connect, publish and subscribe. All methods answer a reason code: `success` is yes. */
export interface AccessControl {
  authenticate(identity: Identity, password: Uint8Array | null): ReasonCode;
  /** Null: everyone may publish and receive everything, and the road of a message asks nothing. */
  readonly topics: TopicAccess | null;
}

export interface TopicAccess {
  canPublish(identity: Identity, topicName: string): boolean;
  canSubscribe(identity: Identity, topicFilter: string): boolean;
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
