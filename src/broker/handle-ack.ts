// Hot path of QoS 1 and 2. Benchmark: bench/broker (q1-100pairs).
import { type AckType, decodeAck } from '../protocol/ack.ts';
import { packetTypeName, PacketType } from '../protocol/packet-type.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { ACK_PROGRESS } from './congestion.ts';
import { handlePubrel } from './handle-publish.ts';
import { traceReceivedAck, tracesPackets } from './packet-trace.ts';

/** PUBACK, PUBREC, PUBREL and PUBCOMP from a client: v5 sections 3.4 to 3.7. */
export function handleAck(
  broker: Broker,
  connection: ClientConnection,
  type: AckType,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  let packetId: number;
  let reasonCode = 0;
  if (end - start === 2) {
    packetId = (bytes[start]! << 8) | bytes[start + 1]!;
    if (packetId === 0) decodeAck(type, bytes, start, end, connection.protocolVersion);
  } else {
    const packet = decodeAck(type, bytes, start, end, connection.protocolVersion);
    packetId = packet.packetId;
    reasonCode = packet.reasonCode;
  }
  if (tracesPackets(connection)) traceReceivedAck(connection, type, packetId, reasonCode);
  const { congestion } = connection;
  if (congestion !== null) congestion.progress += ACK_PROGRESS;
  if (type === PacketType.pubrel) return handlePubrel(broker, connection, packetId);
  handleOwnAck(broker, connection, type, packetId, reasonCode);
  const { durable } = connection.session!;
  if (durable !== null && durable.length > 0) broker.durability!.readMore(connection.session!);
  if (congestion !== null) broker.congestionControl.onProgress(connection);
}

/** An acknowledgement of what the broker sent. */
function handleOwnAck(
  broker: Broker,
  connection: ClientConnection,
  type: typeof PacketType.puback | typeof PacketType.pubrec | typeof PacketType.pubcomp,
  packetId: number,
  reasonCode: number,
): void {
  const { outgoing } = connection.session!;
  switch (type) {
    case PacketType.puback:
      if (outgoing === null || !outgoing.handlePuback(packetId, reasonCode, connection, broker)) {
        checkStray(connection, type, packetId);
      }
      return;
    case PacketType.pubrec:
      if (outgoing !== null && outgoing.handlePubrec(packetId, reasonCode, connection, broker)) return;
      checkStray(connection, type, packetId);
      // v5 section 4.3.3: an unknown PUBREC is answered, so that the peer can forget it; as in Mosquitto, with success.
      if (reasonCode < 0x80) connection.sendPubrel(packetId);
      return;
    case PacketType.pubcomp:
      if (outgoing === null || !outgoing.handlePubcomp(packetId, connection, broker))
        checkStray(connection, type, packetId);
      return;
  }
}

/**
 * An acknowledgement that does not belong to the state of its message (PUBACK at QoS 2, PUBCOMP before PUBREC) is a
 * protocol error; one for nothing may be late and is let pass.
 */
function checkStray(connection: ClientConnection, type: AckType, packetId: number): void {
  const delivery = connection.session!.outgoing?.inflight.get(packetId);
  if (delivery === undefined) return;
  throw new ProtocolError(
    ReasonCode.protocolError,
    `${packetTypeName(type)} does not fit message ${packetId}, sent at QoS ${delivery.qos}`,
    'v5 section 4.3',
  );
}
