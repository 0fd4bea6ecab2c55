import type { QoS } from '../protocol/packet-type.ts';
import type { Subscription } from '../routing/subscription.ts';
import { type DeliveryStorage, StorageState } from './durable-state.ts';
import type { Message } from './message.ts';
import type { Session } from './session.ts';

/** Where an outgoing QoS 1 or 2 message stands (v5 section 4.3). */
export const DeliveryState = {
  /** Waits for room in the window; never sent. */
  queued: 0,
  /** PUBLISH sent; waits for PUBACK (QoS 1) or PUBREC (QoS 2). */
  published: 1,
  /** PUBREC came, PUBREL sent; waits for PUBCOMP. */
  released: 2,
  /** PUBLISH sent on an earlier connection; waits for room in the window of this one to be sent again. */
  unresent: 3,
} as const;
export type DeliveryState = (typeof DeliveryState)[keyof typeof DeliveryState];

/** One message on its way to one session. */
export class Delivery {
  readonly message: Message;
  readonly qos: QoS;
  /** RETAIN towards the client. */
  readonly retain: boolean;
  /** Subscription Identifier of the subscription it came by; 0 for none. */
  readonly identifier: number;
  /** The shared subscription it came by, else null: it may go to another member (v5 section 4.8.2). */
  readonly shared: Subscription<Session> | null;
  packetId = 0;
  /** Place in the order of sending, given by the table in flight. */
  order = 0;
  state: DeliveryState = DeliveryState.queued;
  /** What it has to do with the store; null where its session is not kept there. */
  storage: DeliveryStorage | null = null;

  constructor(message: Message, qos: QoS, retain: boolean, identifier: number, shared: Subscription<Session> | null) {
    this.message = message;
    this.qos = qos;
    this.retain = retain;
    this.identifier = identifier;
    this.shared = shared;
  }

  /** A QoS 2 message goes out when it is committed: sent before, a crash could have it sent a second time as another one. */
  get isHeld(): boolean {
    return this.qos === 2 && this.storage !== null && this.storage.state < StorageState.stored;
  }
}
