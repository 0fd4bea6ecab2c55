// Limits and switches of a broker that runs.
import type { BrokerOptions } from '../config/broker-options.ts';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';

/**
 * Takes over other options. They hold at once and for everybody, but for what their CONNACK told MQTT 5 clients that are
 * connected: nobody is ended for what was allowed when it came.
 */
export function replaceOptions(broker: Broker, options: BrokerOptions): void {
  const promised = {
    receiveMaximum: broker.options.maxInflightMessages,
    maximumPacketSize: broker.maxPacketSizeV5,
  };
  const { window } = broker;
  Object.assign(broker.options, options);
  broker.deriveLimits();
  if (broker.window >= window && broker.maxPacketSizeV5 >= promised.maximumPacketSize) return;
  for (const { link } of broker.sessions.values()) {
    const connection = link as ClientConnection | null;
    if (connection !== null && connection.protocolVersion === ProtocolVersion.v5) connection.promised ??= promised;
  }
}
