import { decodeDisconnect } from '../protocol/disconnect.ts';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { logDisconnected } from './connection-log.ts';
import { traceReceived, tracesPackets } from './packet-trace.ts';

/** DISCONNECT from a client: v5 section 3.14, v3.1.1 section 3.14. */
export function handleDisconnect(
  broker: Broker,
  connection: ClientConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const { protocolVersion } = connection;
  const session = connection.session!;
  const packet = decodeDisconnect(bytes, start, end, protocolVersion, 'client');
  if (tracesPackets(connection)) traceReceived(connection, 'DISCONNECT');
  const expiry = packet.properties?.sessionExpiryInterval;
  if (expiry !== undefined) {
    if (session.expiryInterval === 0 && expiry !== 0) {
      throw new ProtocolError(
        ReasonCode.protocolError,
        'DISCONNECT sets a session expiry where CONNECT set none',
        'v5 section 3.14.2.2.2',
      );
    }
    session.expiryInterval = broker.limitExpiry(expiry);
  }
  const isClean = protocolVersion !== ProtocolVersion.v5 || packet.reasonCode === ReasonCode.normalDisconnection;
  // v5 [MQTT-3.14.4-3], v3.1.1 [MQTT-3.14.4-3]: the will is forgotten.
  if (isClean) session.will = null;
  if (broker.logsConnections) logDisconnected(connection);
  connection.end();
}
