// What records of all formats are made of.
import { decodeUtf8, isValidUtf8 } from '../protocol/utf8.ts';
import type { DbId } from './mosquitto-db-columns.ts';
import type { DbText, MosquittoDbVisitor } from './mosquitto-db-records.ts';
import { type DbReader, MosquittoDbError } from './mosquitto-db-source.ts';

/** What the largest PUBLISH can carry. */
const MOST_PAYLOAD = 268_435_455;

export const Chunk = { config: 1, message: 2, clientMessage: 3, retained: 4, subscription: 5, client: 6 } as const;

export function checkIdSize(size: number, offset: number): void {
  if (size !== 8) throw new MosquittoDbError(`message ids of ${size} bytes; 8 are expected`, offset);
}

/** Null where the visitor does not want it. */
export function payloadOf(
  reader: DbReader,
  id: DbId,
  length: number,
  offset: number,
  visitor: MosquittoDbVisitor,
): Uint8Array | null {
  if (length > MOST_PAYLOAD) {
    throw new MosquittoDbError(`a message has a payload of ${length} bytes, which is more than MQTT can carry`, offset);
  }
  if (visitor.wantsPayload(id)) return reader.bytes(length);
  reader.skip(length);
  return null;
}

export function text(bytes: Uint8Array): DbText {
  return isValidUtf8(bytes, 0, bytes.length) ? decodeUtf8(bytes, 0, bytes.length) : null;
}

/**
 * Empty: none. Mosquitto 2.0.11 and its neighbours write for a client without a user name what follows the user name of
 * the client before in memory, under a length with its bytes swapped. A zero byte, which no user name has, gives it away.
 */
export function usernameOf(bytes: Uint8Array): DbText {
  return bytes.includes(0) ? '' : text(bytes);
}
