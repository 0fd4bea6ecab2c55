// The file in which Mosquitto up to 2.1 keeps its state, `mosquitto.db`, formats 2 to 6. Reads one record at a time,
// and checks lengths before it believes them. What a record means is for `mosquitto-db-import.ts`.
//
// The file: 15 bytes of magic, 4 of zeroes, the format (u32), then chunks: type and length (formats 5 and 6: u32 each; 2 to
// 4: u16, u32) and a body. Numbers of 16 and 32 bits are big-endian, those of 64 bits in the order of the machine that
// wrote them. Bodies, with the lengths of variable parts in front of all of them in formats 5 and 6:
//
//   1 configuration   5, 6: last message id (8), clean end (1), size of a message id (1), padding to 12 or 16
//                     2-4:  clean end (1), size of a message id (1), last message id (8)
//   2 message         5, 6: id (8), expiry time (8), payload length (4), source packet id (2), lengths of source id,
//                     source user name and topic (2 each), source port (2), QoS (1), retain (1), then source id, source
//                     user name, topic, payload, and, up to the end of the chunk, MQTT 5 properties with their length
//                     2-4:  id (8), source id, [4: source user name, source port (2)], source packet id (2), 0 (2),
//                     topic, QoS (1), retain (1), payload length (4), payload
//   3 client message  5, 6: message id (8), packet id (2), length of the client id (2), QoS (1), state (1), retain and
//                     dup (4 bits each), direction (1), client id, properties up to the end of the chunk
//                     2-4:  client id, message id (8), packet id (2), QoS, retain, direction, state, dup (1 each)
//   4 retained        message id (8)
//   5 subscription    5, 6: identifier (4), lengths of client id and filter (2 each), QoS (1), options (1), padding (2),
//                     client id, filter
//                     2-4:  client id, filter, QoS (1)
//   6 client          5, 6: expiry time (8), expiry interval (4), last packet id (2), length of the client id (2),
//                     [6: listener port (2), length of the user name (2), padding to 20 or 24], client id, user name
//                     2-4:  client id, last packet id (2), [3, 4: time of disconnection, 4 or 8]
//
// Texts of formats 2 to 4 have their length (u16) in front. The length that format 4 gives of a message is wrong (it
// counts the source id twice), so formats 2 to 4 go by their fields, as Mosquitto does.

import { readFields } from './mosquitto-db-fields.ts';
import type { MosquittoDbVisitor } from './mosquitto-db-records.ts';
import { DbReader, type DbSource, MosquittoDbError } from './mosquitto-db-source.ts';
import { readStruct } from './mosquitto-db-structs.ts';
import { Chunk } from './mosquitto-db-values.ts';

const MAGIC = Uint8Array.from([0, 0xb5, 0, ...new TextEncoder().encode('mosquitto db')]);

/** Bytes in front of the first chunk. */
export const MOSQUITTO_DB_HEADER = MAGIC.length + 8;

const LOWEST_FORMAT = 2;
const HIGHEST_FORMAT = 6;
/** From here on, records have the layout of C structures. */
const STRUCT_FORMAT = 5;

const chunkNames: Readonly<Record<number, string>> = {
  [Chunk.config]: 'configuration',
  [Chunk.message]: 'message',
  [Chunk.clientMessage]: 'client message',
  [Chunk.retained]: 'retained message',
  [Chunk.subscription]: 'subscription',
  [Chunk.client]: 'client',
};

/** Whether these are the first bytes of such a file. */
export function isMosquittoDb(start: Uint8Array): boolean {
  return start.length >= MAGIC.length && MAGIC.every((byte, i) => start[i] === byte);
}

/**
 * The file, chunk by chunk.
 *
 * @throws MosquittoDbError from the constructor and from `next`
 */
export class MosquittoDb {
  /** 2 to 6. */
  readonly format: number;
  private readonly reader: DbReader;

  constructor(source: DbSource) {
    this.reader = new DbReader(source);
    this.format = readHeader(this.reader, source);
  }

  /** How far it is read, in bytes. */
  get position(): number {
    return this.reader.position;
  }

  rewind(): void {
    this.reader.leaveChunk();
    this.reader.seek(MOSQUITTO_DB_HEADER);
  }

  /** Reads one chunk. @returns false at the end of the file */
  next(visitor: MosquittoDbVisitor): boolean {
    const { reader } = this;
    reader.leaveChunk();
    if (reader.remaining === 0) return false;
    const offset = reader.position;
    const isStruct = this.format >= STRUCT_FORMAT;
    const type = isStruct ? reader.u32() : reader.u16();
    const length = reader.u32();
    const name = chunkNames[type];
    if (name === undefined || isStruct) {
      if (length > reader.remaining) throw cutOff(name ?? `type ${type}`, length, reader.remaining, offset);
    }
    const end = reader.position + length;
    if (name === undefined) {
      visitor.unknown(type, length, offset);
      reader.seek(end);
      return true;
    }
    if (isStruct) {
      reader.enterChunk(end);
      readStruct(reader, this.format, type, length, offset, visitor);
      reader.seek(end);
    } else readFields(reader, this.format, type, length, offset, visitor);
    return true;
  }
}

function readHeader(reader: DbReader, source: DbSource): number {
  if (source.size === 0) throw new MosquittoDbError('the file is empty', 0);
  const length = Math.min(source.size, MAGIC.length);
  const start = reader.bytes(length);
  if (!isMosquittoDb(start)) {
    if (start.every((byte) => byte === 0)) {
      throw new MosquittoDbError('the file begins with nothing but zeroes, as after a loss of power', 0);
    }
    throw new MosquittoDbError('this is not a mosquitto.db: it does not begin like one', 0);
  }
  reader.skip(4);
  const format = reader.u32();
  if (format < LOWEST_FORMAT || format > HIGHEST_FORMAT) {
    throw new MosquittoDbError(
      `the file has format ${format}; formats ${LOWEST_FORMAT} to ${HIGHEST_FORMAT} can be read`,
      MAGIC.length + 4,
    );
  }
  return format;
}

function cutOff(name: string, length: number, remaining: number, offset: number): MosquittoDbError {
  return new MosquittoDbError(
    `the file ends in the middle of a chunk (${name}) of ${length} bytes: ${remaining} are there`,
    offset,
  );
}
