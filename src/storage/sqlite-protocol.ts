// What the two halves of SqliteStore say to each other. Rows cross as bytes of a StoreBatch in a buffer that is handed
// over: a million sessions as objects would be cloned one by one.
import type { ExpiredDelivery, StoredDelivery, StoredMessage, StoredSession, StoreFault } from './session-store.ts';
import type { Marks } from './sqlite-writer.ts';
import { type BatchReader, replayBatch } from './store-batch.ts';
import type { DeliveryRecord, SessionRecord, StoredIncoming, StoredSubscription } from './session-store.ts';

export type SyncMode = 'normal' | 'full';

/** A batch without its class: see `replayBatch`. */
export type PageBytes = Uint8Array<ArrayBuffer>;

/** A store that was open before. */
export interface Expected {
  readonly uid: string;
  /** Number of the last batch that was committed for certain. */
  readonly lastBatch: number;
}

/** What the main thread asks, by kind. */
export interface Requests {
  open: {
    readonly path: string;
    readonly sync: SyncMode;
    /** Null at the start of a broker; later only that store will do which it works with. */
    readonly expects: Expected | null;
  };
  /** `number` goes up with each batch, so that one sent twice counts once. */
  commit: { readonly number: number; readonly bytes: PageBytes };
  sessions: { readonly afterId: number; readonly limit: number };
  session: { readonly clientId: string };
  index: { readonly afterSeq: number; readonly limit: number };
  deliveries: { readonly seqs: Float64Array<ArrayBuffer>; readonly maxBytes: number };
  retained: { readonly afterTopic: string | null; readonly limit: number };
  expired: { readonly wallMs: number; readonly limit: number };
  /** Answers once all before it is done. */
  barrier: object;
  close: object;
}

export interface Replies {
  open: Marks;
  commit: null;
  sessions: PageBytes;
  session: PageBytes;
  index: {
    readonly seqs: Float64Array<ArrayBuffer>;
    readonly sessionIds: Float64Array<ArrayBuffer>;
    readonly sizes: Uint32Array<ArrayBuffer>;
    readonly shared: Uint8Array<ArrayBuffer>;
    readonly packetIds: Uint16Array<ArrayBuffer>;
  };
  deliveries: { readonly bytes: PageBytes; readonly looked: number };
  retained: PageBytes;
  expired: ExpiredDelivery[];
  barrier: null;
  close: null;
}

export type RequestKind = keyof Requests;

export type Request = {
  [K in RequestKind]: { readonly id: number; readonly kind: K; readonly body: Requests[K] };
}[RequestKind];

export type Reply =
  | { readonly id: number; readonly value: Replies[RequestKind] }
  | { readonly id: number; readonly fault: StoreFault; readonly message: string }
  /** `id` 0: a line for the operator, which answers nothing. */
  | { readonly id: 0; readonly notice: string };

/** Sessions of a page: each is followed by its subscriptions, and its incoming messages, each after its message. */
export function decodeSessions(bytes: Uint8Array): StoredSession[] {
  const reader = new PageReader(true);
  replayBatch(bytes, reader);
  return reader.sessions;
}

export function decodeRetained(bytes: Uint8Array): StoredMessage[] {
  const reader = new PageReader(true);
  replayBatch(bytes, reader);
  return reader.messages;
}

/** Deliveries of a page: each follows its message, whose payload and properties are views of `bytes`. */
export function decodeDeliveries(bytes: Uint8Array): StoredDelivery[] {
  const reader = new PageReader(false);
  replayBatch(bytes, reader);
  return reader.deliveries;
}

const noBytes = new Uint8Array(0);

/** What is kept for long gets bytes of its own, so that one small payload does not hold on to a whole page. */
class PageReader implements BatchReader {
  readonly sessions: StoredSession[] = [];
  readonly messages: StoredMessage[] = [];
  readonly deliveries: StoredDelivery[] = [];
  private readonly copies: boolean;
  private subscriptions: StoredSubscription[] = [];
  private incoming: StoredIncoming[] = [];
  private message: StoredMessage | null = null;

  constructor(copies: boolean) {
    this.copies = copies;
  }

  putSession(session: SessionRecord): void {
    this.subscriptions = [];
    this.incoming = [];
    const { will } = session;
    this.sessions.push({
      id: session.id,
      clientId: session.clientId,
      protocolVersion: session.protocolVersion,
      username: session.username,
      expiryInterval: session.expiryInterval,
      awaySinceMs: session.awaySinceMs,
      sentSeq: session.sentSeq,
      will: will === null ? null : { ...will, message: this.own(will.message) },
      subscriptions: this.subscriptions,
      incoming: this.incoming,
    });
  }

  putSubscription(_sessionId: number, subscription: StoredSubscription): void {
    this.subscriptions.push(subscription);
  }

  putMessage(_id: number, _references: number, message: StoredMessage): void {
    this.message = this.own(message);
  }

  putIncoming(_sessionId: number, packetId: number, messageId: number): void {
    this.incoming.push({ packetId, message: messageId === 0 ? null : this.message });
  }

  putRetained(message: StoredMessage): void {
    this.messages.push(this.own(message));
  }

  putDelivery(delivery: DeliveryRecord): void {
    if (this.message === null) throw new Error('a delivery without its message');
    this.deliveries.push({ ...delivery, message: this.message });
  }

  deleteSession(): void {}
  deleteSubscription(): void {}
  addReferences(): void {}
  moveDelivery(): void {}
  deleteDelivery(): void {}
  deleteIncoming(): void {}
  deleteRetained(): void {}
  setAlive(): void {}

  private own(message: StoredMessage): StoredMessage {
    if (!this.copies) return message;
    const { payload, properties } = message;
    return {
      ...message,
      payload: payload.length === 0 ? noBytes : payload.slice(),
      properties: properties.length === 0 ? noBytes : properties.slice(),
    };
  }
}
