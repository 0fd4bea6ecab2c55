import type {
  DbText,
  MosquittoClient,
  MosquittoClientMessage,
  MosquittoDbVisitor,
  MosquittoMessage,
} from './mosquitto-db-records.ts';
import { type DbReader, MosquittoDbError } from './mosquitto-db-source.ts';
import { checkIdSize, Chunk, payloadOf, text } from './mosquitto-db-values.ts';

const NO_BYTES = new Uint8Array(0);

/**
 * Reads the body of a known chunk of the formats 2 to 4, one field after another.
 *
 * @throws MosquittoDbError
 */
export function readFields(
  reader: DbReader,
  format: number,
  type: number,
  length: number,
  offset: number,
  visitor: MosquittoDbVisitor,
): void {
  switch (type) {
    case Chunk.config:
      reader.skip(1);
      checkIdSize(reader.u8(), offset);
      reader.skip(8);
      return;
    case Chunk.message:
      return visitor.message(messageFields(reader, format, offset, visitor));
    case Chunk.clientMessage:
      return visitor.clientMessage(clientMessageFields(reader, offset));
    case Chunk.retained:
      return visitor.retained(reader.id(), offset);
    case Chunk.subscription:
      return visitor.subscription({
        offset,
        clientId: prefixedText(reader),
        filterText: prefixedText(reader),
        qos: reader.u8(),
        noLocal: false,
        retainAsPublished: false,
        identifier: 0,
      });
    case Chunk.client:
      return visitor.client(clientFields(reader, format, length, offset));
  }
}

function prefixedText(reader: DbReader): DbText {
  return text(reader.short(reader.u16()));
}

function messageFields(
  reader: DbReader,
  format: number,
  offset: number,
  visitor: MosquittoDbVisitor,
): MosquittoMessage {
  const id = reader.id();
  const sourceId = prefixedText(reader);
  if (format >= 4) {
    reader.skip(reader.u16());
    reader.skip(2);
  }
  reader.skip(4);
  const topicLength = reader.u16();
  const topicName = text(reader.short(topicLength));
  const qos = reader.u8();
  const retain = reader.u8() !== 0;
  const payloadLength = reader.u32();
  const payload = payloadOf(reader, id, payloadLength, offset, visitor);
  const properties = NO_BYTES;
  return {
    offset,
    id,
    expiryTime: 0,
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

function clientMessageFields(reader: DbReader, offset: number): MosquittoClientMessage {
  const clientId = prefixedText(reader);
  const messageId = reader.id();
  const packetId = reader.u16();
  const qos = reader.u8();
  const retain = reader.u8() !== 0;
  const isOutgoing = reader.u8() === 1;
  const state = reader.u8();
  const dup = reader.u8() !== 0;
  return { offset, clientId, messageId, packetId, qos, state, retain, dup, isOutgoing, properties: NO_BYTES };
}

function clientFields(reader: DbReader, format: number, length: number, offset: number): MosquittoClient {
  const idLength = reader.u16();
  const clientId = text(reader.short(idLength));
  const lastPacketId = reader.u16();
  let disconnectTime = 0;
  if (format >= 3) {
    const size = length - 4 - idLength;
    if (size !== 4 && size !== 8) {
      throw new MosquittoDbError(`a client has ${length} bytes, but an identifier of ${idLength}`, offset);
    }
    disconnectTime = size === 8 ? reader.time() : reader.shortTime();
  }
  return {
    offset,
    clientId,
    expiryTime: 0,
    expiryInterval: 0xffff_ffff,
    disconnectTime,
    lastPacketId,
    username: '',
    listenerPort: 0,
  };
}
