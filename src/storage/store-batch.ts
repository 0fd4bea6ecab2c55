// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable.
import type { DeliveryRecord, SessionRecord, StoredMessage, StoredSubscription, StoredWill } from './session-store.ts';
import type { QoS } from '../protocol/packet-type.ts';

const Op = {
  putSession: 1,
  deleteSession: 2,
  putSubscription: 3,
  deleteSubscription: 4,
  putMessage: 5,
  addReferences: 6,
  putDelivery: 7,
  moveDelivery: 8,
  deleteDelivery: 9,
  putIncoming: 10,
  deleteIncoming: 11,
  putRetained: 12,
  deleteRetained: 13,
  setAlive: 14,
} as const;

/** What a batch says to a store, in the order it was said. */
export interface BatchReader {
  putSession(session: SessionRecord): void;
  /** With its subscriptions and incoming messages; its deliveries are deleted one by one before. */
  deleteSession(id: number): void;
  putSubscription(sessionId: number, subscription: StoredSubscription): void;
  deleteSubscription(sessionId: number, filterText: string): void;
  /** @param references how many deliveries and incoming messages of the store name it; it goes with the last of them */
  putMessage(id: number, references: number, message: StoredMessage): void;
  addReferences(messageId: number, count: number): void;
  putDelivery(delivery: DeliveryRecord): void;
  /** The delivery was released (PUBREC came), or has another packet identifier; it goes on as `newSeq`, which may be `seq`. */
  moveDelivery(seq: number, newSeq: number, isReleased: boolean, packetId: number): void;
  /** One that is not there is no error. */
  deleteDelivery(seq: number): void;
  /** Takes the place of one with the same identifier, whose message loses a reference. @param messageId 0: refused */
  putIncoming(sessionId: number, packetId: number, messageId: number): void;
  deleteIncoming(sessionId: number, packetId: number): void;
  putRetained(message: StoredMessage): void;
  deleteRetained(topicName: string): void;
  setAlive(wallMs: number): void;
}

const SMALLEST = 64 * 1024;

/**
 * A batch of changes as bytes, which cross to the thread that writes as one block. Numbers are little-endian; ids and
 * times are doubles, so that they hold more than 32 bits.
 */
export class StoreBatch {
  private bytes = Buffer.alloc(SMALLEST);
  private view = new DataView(this.bytes.buffer);
  private offset = 0;
  /** How many changes. */
  count = 0;

  /** Bytes so far. */
  get length(): number {
    return this.offset;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** A copy of its own, to hand to another thread. */
  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes.subarray(0, this.offset));
  }

  /** Empties the batch; memory of an unusually large one is let go. */
  clear(): void {
    this.offset = 0;
    this.count = 0;
    if (this.bytes.length <= 4 * 1024 * 1024) return;
    this.bytes = Buffer.alloc(SMALLEST);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Reads the batch out to a store. */
  replay(reader: BatchReader): void {
    replayBatch(this.bytes.subarray(0, this.offset), reader);
  }

  putSession(session: SessionRecord): void {
    this.begin(Op.putSession, 64);
    this.f64(session.id);
    this.text(session.clientId);
    this.u8(session.protocolVersion);
    this.optionalText(session.username);
    this.u32(session.expiryInterval);
    this.f64(session.awaySinceMs);
    this.f64(session.sentSeq);
    this.will(session.will);
  }

  deleteSession(id: number): void {
    this.begin(Op.deleteSession, 8);
    this.f64(id);
  }

  putSubscription(sessionId: number, one: StoredSubscription): void {
    this.begin(Op.putSubscription, 16);
    this.f64(sessionId);
    this.text(one.filterText);
    this.u8(one.qos | (one.noLocal ? 4 : 0) | (one.retainAsPublished ? 8 : 0));
    this.u32(one.identifier);
  }

  deleteSubscription(sessionId: number, filterText: string): void {
    this.begin(Op.deleteSubscription, 8);
    this.f64(sessionId);
    this.text(filterText);
  }

  /** @returns where `setReferences` finds the number of references */
  putMessage(id: number, references: number, message: StoredMessage): number {
    this.begin(Op.putMessage, 12);
    this.f64(id);
    const place = this.offset;
    this.u32(references);
    this.message(message);
    return place;
  }

  /** Corrects the number of a message that is in this batch: deliveries are counted as they are written. */
  setReferences(place: number, references: number): void {
    this.view.setUint32(place, references, true);
  }

  addReferences(messageId: number, count: number): void {
    this.begin(Op.addReferences, 12);
    this.f64(messageId);
    this.u32(count);
  }

  putDelivery(
    seq: number,
    sessionId: number,
    messageId: number,
    qos: QoS,
    retain: boolean,
    isReleased: boolean,
    packetId: number,
    identifier: number,
    sharedFilter: string | null,
    size: number,
    expiresAtMs: number,
  ): void {
    this.begin(Op.putDelivery, 48);
    this.f64(seq);
    this.f64(sessionId);
    this.f64(messageId);
    this.u8(qos | (retain ? 4 : 0) | (isReleased ? 8 : 0));
    this.u16(packetId);
    this.u32(identifier);
    this.u32(size);
    this.f64(expiresAtMs);
    this.optionalText(sharedFilter);
  }

  moveDelivery(seq: number, newSeq: number, isReleased: boolean, packetId: number): void {
    this.begin(Op.moveDelivery, 19);
    this.f64(seq);
    this.f64(newSeq);
    this.u8(isReleased ? 1 : 0);
    this.u16(packetId);
  }

  deleteDelivery(seq: number): void {
    this.begin(Op.deleteDelivery, 8);
    this.f64(seq);
  }

  putIncoming(sessionId: number, packetId: number, messageId: number): void {
    this.begin(Op.putIncoming, 18);
    this.f64(sessionId);
    this.u16(packetId);
    this.f64(messageId);
  }

  deleteIncoming(sessionId: number, packetId: number): void {
    this.begin(Op.deleteIncoming, 10);
    this.f64(sessionId);
    this.u16(packetId);
  }

  putRetained(message: StoredMessage): void {
    this.begin(Op.putRetained, 0);
    this.message(message);
  }

  deleteRetained(topicName: string): void {
    this.begin(Op.deleteRetained, 0);
    this.text(topicName);
  }

  setAlive(wallMs: number): void {
    this.begin(Op.setAlive, 8);
    this.f64(wallMs);
  }

  /** @param room bytes of fixed length that follow; texts and payloads ask for theirs themselves */
  private begin(op: number, room: number): void {
    this.count++;
    this.reserve(room + 1);
    this.bytes[this.offset++] = op;
  }

  private reserve(count: number): void {
    if (this.offset + count <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.bytes.length * 2, this.offset + count));
    grown.set(this.bytes.subarray(0, this.offset));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  private u8(value: number): void {
    this.reserve(1);
    this.bytes[this.offset++] = value;
  }

  private u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.offset, value, true);
    this.offset += 2;
  }

  private u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.offset, value, true);
    this.offset += 4;
  }

  private f64(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.offset, value, true);
    this.offset += 8;
  }

  private blob(value: Uint8Array): void {
    this.u32(value.length);
    this.reserve(value.length);
    this.bytes.set(value, this.offset);
    this.offset += value.length;
  }

  private text(value: string): void {
    this.reserve(value.length * 3 + 4);
    // Half the time of TextEncoder for short texts, as `toString` is of TextDecoder.
    const written = this.bytes.write(value, this.offset + 4, 'utf8');
    this.view.setUint32(this.offset, written, true);
    this.offset += 4 + written;
  }

  private optionalText(value: string | null): void {
    this.u8(value === null ? 0 : 1);
    if (value !== null) this.text(value);
  }

  private message(message: StoredMessage): void {
    this.text(message.topicName);
    this.text(message.publisherId);
    this.u8(message.qos | (message.retain ? 4 : 0));
    this.f64(message.expiresAtMs);
    this.blob(message.properties);
    this.blob(message.payload);
  }

  private will(will: StoredWill | null): void {
    this.u8(will === null ? 0 : 1);
    if (will === null) return;
    this.f64(will.messageExpiryInterval ?? -1);
    this.f64(will.delayInterval);
    this.message(will.message);
  }
}

/** Reads the bytes of a batch out to a store. Payloads and properties are views of `bytes`. */
export function replayBatch(bytes: Uint8Array, reader: BatchReader): void {
  const source = new Source(bytes);
  while (source.offset < bytes.length) replayOne(source.u8(), source, reader);
}

function replayOne(op: number, source: Source, reader: BatchReader): void {
  switch (op) {
    case Op.putSession:
      return reader.putSession({
        id: source.f64(),
        clientId: source.text(),
        protocolVersion: source.u8(),
        username: source.optionalText(),
        expiryInterval: source.u32(),
        awaySinceMs: source.f64(),
        sentSeq: source.f64(),
        will: source.will(),
      });
    case Op.deleteSession:
      return reader.deleteSession(source.f64());
    case Op.putSubscription: {
      const sessionId = source.f64();
      const filterText = source.text();
      const flags = source.u8();
      return reader.putSubscription(sessionId, {
        filterText,
        qos: (flags & 3) as QoS,
        noLocal: (flags & 4) !== 0,
        retainAsPublished: (flags & 8) !== 0,
        identifier: source.u32(),
      });
    }
    case Op.deleteSubscription:
      return reader.deleteSubscription(source.f64(), source.text());
    case Op.putMessage:
      return reader.putMessage(source.f64(), source.u32(), source.message());
    case Op.addReferences:
      return reader.addReferences(source.f64(), source.u32());
    case Op.putDelivery: {
      const seq = source.f64();
      const sessionId = source.f64();
      const messageId = source.f64();
      const flags = source.u8();
      return reader.putDelivery({
        seq,
        sessionId,
        messageId,
        qos: (flags & 3) as QoS,
        retain: (flags & 4) !== 0,
        isReleased: (flags & 8) !== 0,
        packetId: source.u16(),
        identifier: source.u32(),
        size: source.u32(),
        expiresAtMs: source.f64(),
        sharedFilter: source.optionalText(),
      });
    }
    case Op.moveDelivery:
      return reader.moveDelivery(source.f64(), source.f64(), source.u8() === 1, source.u16());
    case Op.deleteDelivery:
      return reader.deleteDelivery(source.f64());
    case Op.putIncoming:
      return reader.putIncoming(source.f64(), source.u16(), source.f64());
    case Op.deleteIncoming:
      return reader.deleteIncoming(source.f64(), source.u16());
    case Op.putRetained:
      return reader.putRetained(source.message());
    case Op.deleteRetained:
      return reader.deleteRetained(source.text());
    case Op.setAlive:
      return reader.setAlive(source.f64());
    default:
      throw new Error(`a batch holds the unknown change ${op}`);
  }
}

class Source {
  offset = 0;
  private readonly bytes: Uint8Array;
  private readonly texts: Buffer;
  private readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.texts = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8(): number {
    return this.bytes[this.offset++]!;
  }

  u16(): number {
    const value = this.view.getUint16(this.offset, true);
    this.offset += 2;
    return value;
  }

  u32(): number {
    const value = this.view.getUint32(this.offset, true);
    this.offset += 4;
    return value;
  }

  f64(): number {
    const value = this.view.getFloat64(this.offset, true);
    this.offset += 8;
    return value;
  }

  blob(): Uint8Array {
    const length = this.u32();
    this.offset += length;
    return this.bytes.subarray(this.offset - length, this.offset);
  }

  text(): string {
    const length = this.u32();
    const start = this.offset;
    this.offset += length;
    return this.texts.toString('utf8', start, this.offset);
  }

  optionalText(): string | null {
    return this.u8() === 0 ? null : this.text();
  }

  message(): StoredMessage {
    const topicName = this.text();
    const publisherId = this.text();
    const flags = this.u8();
    const expiresAtMs = this.f64();
    const properties = this.blob();
    const payload = this.blob();
    return {
      topicName,
      publisherId,
      qos: (flags & 3) as QoS,
      retain: (flags & 4) !== 0,
      expiresAtMs,
      properties,
      payload,
    };
  }

  will(): StoredWill | null {
    if (this.u8() === 0) return null;
    const expiry = this.f64();
    const delayInterval = this.f64();
    return { messageExpiryInterval: expiry < 0 ? null : expiry, delayInterval, message: this.message() };
  }
}
