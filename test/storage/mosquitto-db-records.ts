import type {
  MosquittoClient,
  MosquittoClientMessage,
  MosquittoDbVisitor,
  MosquittoMessage,
  MosquittoSubscription,
} from '../../src/storage/mosquitto-db-records.ts';
import { MosquittoDb } from '../../src/storage/mosquitto-db.ts';
import type { DbId } from '../../src/storage/mosquitto-db-columns.ts';
import type { DbSource } from '../../src/storage/mosquitto-db-source.ts';

/** Bytes in memory; counts what is read. */
export class BytesSource implements DbSource {
  bytesRead = 0;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(target: Uint8Array, position: number): number {
    const part = this.bytes.subarray(position, position + target.length);
    target.set(part);
    this.bytesRead += part.length;
    return part.length;
  }
}

/** All records of a file, by kind. */
export class Records implements MosquittoDbVisitor {
  readonly messages: MosquittoMessage[] = [];
  readonly clients: MosquittoClient[] = [];
  readonly clientMessages: MosquittoClientMessage[] = [];
  readonly subscriptions: MosquittoSubscription[] = [];
  readonly retainedIds: number[] = [];
  readonly unknownTypes: number[] = [];
  count = 0;

  static read(bytes: Uint8Array): Records {
    const records = new Records();
    const db = new MosquittoDb(new BytesSource(bytes));
    while (db.next(records)) records.count++;
    return records;
  }

  wantsPayload(): boolean {
    return true;
  }

  message(message: MosquittoMessage): void {
    this.messages.push(message);
  }

  client(client: MosquittoClient): void {
    this.clients.push(client);
  }

  clientMessage(message: MosquittoClientMessage): void {
    this.clientMessages.push(message);
  }

  subscription(subscription: MosquittoSubscription): void {
    this.subscriptions.push(subscription);
  }

  retained({ low, high }: DbId): void {
    this.retainedIds.push(high * 0x1_0000_0000 + low);
  }

  unknown(type: number): void {
    this.unknownTypes.push(type);
  }
}
