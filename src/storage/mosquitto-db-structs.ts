import type {
  MosquittoClient,
  MosquittoClientMessage,
  MosquittoDbVisitor,
  MosquittoMessage,
  MosquittoSubscription,
} from './mosquitto-db-records.ts';
import { type DbReader, MosquittoDbError } from './mosquitto-db-source.ts';
import { checkIdSize, Chunk, payloadOf, text, usernameOf } from './mosquitto-db-values.ts';

/** What their length can say. */
const MOST_PROPERTIES = 268_435_455 + 4;
/** Only Subscription Identifiers. */
const MOST_CLIENT_PROPERTIES = 65_535;

/**
 * Reads the body of a known chunk of the formats 5 and 6, which have the layout of C structures. The reader is in the chunk.
 *
 * @throws MosquittoDbError
 */
export function readStruct(
  reader: DbReader,
  format: number,
  type: number,
  length: number,
  offset: number,
  visitor: MosquittoDbVisitor,
): void {
  switch (type) {
    case Chunk.config:
      reader.skip(9);
      checkIdSize(reader.u8(), offset);
      return;
    case Chunk.message:
      return visitor.message(messageStruct(reader, offset, visitor));
    case Chunk.clientMessage:
      return visitor.clientMessage(clientMessageStruct(reader, offset));
    case Chunk.retained:
      return visitor.retained(reader.id(), offset);
    case Chunk.subscription:
      return visitor.subscription(subscriptionStruct(reader, offset));
    case Chunk.client:
      return visitor.client(clientStruct(reader, format, length, offset));
  }
}

function messageStruct(reader: DbReader, offset: number, visitor: MosquittoDbVisitor): MosquittoMessage {
  const id = reader.id();
  const expiryTime = reader.time();
  const payloadLength = reader.u32();
  reader.skip(2);
  const sourceIdLength = reader.u16();
  const usernameLength = reader.u16();
  const topicLength = reader.u16();
  reader.skip(2);
  const qos = reader.u8();
  const retain = reader.u8() !== 0;
  const sourceId = text(reader.short(sourceIdLength));
  reader.skip(usernameLength);
  const topicName = text(reader.short(topicLength));
  const payload = payloadOf(reader, id, payloadLength, offset, visitor);
  const properties = propertiesOf(reader, MOST_PROPERTIES, offset);
  return {
    offset,
    id,
    expiryTime,
    sourceId,
    topicName,
    topicLength,
    qos,
    retain,
    payloadLength,
    payload,
    properties,
  };
}

function clientMessageStruct(reader: DbReader, offset: number): MosquittoClientMessage {
  const messageId = reader.id();
  const packetId = reader.u16();
  const idLength = reader.u16();
  const qos = reader.u8();
  const state = reader.u8();
  const retainAndDup = reader.u8();
  const isOutgoing = reader.u8() === 1;
  return {
    offset,
    messageId,
    packetId,
    qos,
    state,
    retain: retainAndDup >> 4 !== 0,
    dup: (retainAndDup & 0x0f) !== 0,
    isOutgoing,
    clientId: text(reader.short(idLength)),
    properties: propertiesOf(reader, MOST_CLIENT_PROPERTIES, offset),
  };
}

function subscriptionStruct(reader: DbReader, offset: number): MosquittoSubscription {
  const identifier = reader.u32();
  const idLength = reader.u16();
  const filterLength = reader.u16();
  const qos = reader.u8();
  const options = reader.u8();
  reader.skip(2);
  return {
    offset,
    identifier,
    qos,
    noLocal: (options & 4) !== 0,
    retainAsPublished: (options & 8) !== 0,
    clientId: text(reader.short(idLength)),
    filterText: text(reader.short(filterLength)),
  };
}

function clientStruct(reader: DbReader, format: number, length: number, offset: number): MosquittoClient {
  const expiryTime = reader.time();
  const expiryInterval = reader.u32();
  const lastPacketId = reader.u16();
  const idLength = reader.u16();
  let listenerPort = 0;
  let usernameLength = 0;
  if (format >= 6) {
    listenerPort = reader.u16();
    usernameLength = reader.u16();
    // Machines on which 64 bits may stand at multiples of 4 have no padding.
    const padding = length - 20 - idLength - usernameLength;
    if (padding !== 0 && padding !== 4) {
      throw new MosquittoDbError(
        `a client has ${length} bytes, but identifier and user name of ${idLength} and ${usernameLength}`,
        offset,
      );
    }
    reader.skip(padding);
  }
  const clientId = text(reader.short(idLength));
  const username = usernameOf(reader.short(usernameLength));
  const disconnectTime = 0;
  return { offset, clientId, expiryTime, expiryInterval, disconnectTime, lastPacketId, username, listenerPort };
}

/** The rest of the chunk. */
function propertiesOf(reader: DbReader, most: number, offset: number): Uint8Array {
  if (reader.remaining > most) {
    throw new MosquittoDbError(
      `a message has properties of ${reader.remaining} bytes, which MQTT does not allow`,
      offset,
    );
  }
  return reader.bytes(reader.remaining);
}
