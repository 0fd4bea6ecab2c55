// Lines on single packets, in Mosquitto's words: `log_type debug`, subscribe and unsubscribe. Callers test the log's types
// first, so that where nobody reads them a packet costs one comparison.
import { packetTypeName, PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { PublishView } from '../protocol/publish.ts';
import type { Will } from '../session/session.ts';
import type { ClientConnection } from './client-connection.ts';
import type { ClientLink } from './client-link.ts';
import { LogType, printable } from './log.ts';

/** Whether lines on packets are read. */
export function tracesPackets(link: ClientLink): boolean {
  return (link.broker.log.types & LogType.debug) !== 0;
}

function debug(link: ClientLink, line: string): void {
  link.broker.log.log(LogType.debug, line, { client: nameOf(link) });
}

/** The client identifier, and before CONNECT the address. */
function nameOf(link: ClientLink): string {
  return link.session === null ? link.address : printable(link.session.clientId);
}

/** @param packet `PINGREQ`, and others of which no more is told */
export function traceReceived(link: ClientLink, packet: string): void {
  debug(link, `Received ${packet} from ${nameOf(link)}`);
}

export function traceSent(link: ClientLink, packet: string): void {
  debug(link, `Sending ${packet} to ${nameOf(link)}`);
}

export function traceReceivedAck(link: ClientLink, type: number, packetId: number, reasonCode: number): void {
  const isLast = type === PacketType.puback || type === PacketType.pubcomp;
  const code = isLast ? `, RC:${reasonCode}` : '';
  debug(link, `Received ${packetTypeName(type)} from ${nameOf(link)} (Mid: ${packetId}${code})`);
}

/** @param reasonCode also towards clients before MQTT 5, which do not get it */
export function traceSentAck(link: ClientLink, type: number, packetId: number, reasonCode: number): void {
  const isReceipt = type === PacketType.puback || type === PacketType.pubrec;
  const isFailure = reasonCode >= 0x80 || link.protocolVersion === ProtocolVersion.v5;
  const code = isReceipt ? `, rc${isFailure ? reasonCode : 0}` : '';
  debug(link, `Sending ${packetTypeName(type)} to ${nameOf(link)} (m${packetId}${code})`);
}

/** What becomes of a PUBLISH from a client. */
export type PublishFate = 'Received' | 'Denied' | 'Dropped too large';

export function tracePublishReceived(link: ClientLink, fate: PublishFate, view: PublishView, topicName: string): void {
  const bytes = view.payloadEnd - view.payloadStart;
  const details = describePublish(view.dup, view.qos, view.retain, view.packetId, topicName, bytes);
  debug(link, `${fate} PUBLISH from ${nameOf(link)} ${details}`);
}

export function tracePublishSent(
  link: ClientLink,
  dup: boolean,
  qos: number,
  retain: boolean,
  packetId: number,
  topicName: string,
  bytes: number,
): void {
  debug(link, `Sending PUBLISH to ${nameOf(link)} ${describePublish(dup, qos, retain, packetId, topicName, bytes)}`);
}

function describePublish(
  dup: boolean,
  qos: number,
  retain: boolean,
  packetId: number,
  topicName: string,
  bytes: number,
): string {
  const flags = `d${dup ? 1 : 0}, q${qos}, r${retain ? 1 : 0}, m${packetId}`;
  return `(${flags}, '${printable(topicName)}', ... (${bytes} bytes))`;
}

/** A topic filter of SUBSCRIBE, as it was asked for. */
export function traceFilter(link: ClientLink, topicFilter: string, qos: number): void {
  debug(link, `\t${printable(topicFilter)} (QoS ${qos})`);
}

/** A subscription that was made: the line of `log_type subscribe`. */
export function logSubscribed(link: ClientLink, topicFilter: string, qos: number): void {
  const client = nameOf(link);
  const topic = printable(topicFilter);
  link.broker.log.log(LogType.subscribe, `${client} ${qos} ${topic}`, { client, topic });
}

/** A topic filter of UNSUBSCRIBE: a line of `log_type debug`, and that of `log_type unsubscribe`. */
export function logUnsubscribed(link: ClientLink, topicFilter: string): void {
  const client = nameOf(link);
  const topic = printable(topicFilter);
  const { log } = link.broker;
  if ((log.types & LogType.debug) !== 0) log.log(LogType.debug, `\t${topic}`, { client });
  if ((log.types & LogType.unsubscribe) !== 0) log.log(LogType.unsubscribe, `${client} ${topic}`, { client, topic });
}

/** The will of a CONNECT. */
export function traceWill(link: ClientLink, will: Will | null): void {
  if (will === null) return debug(link, 'No will message specified.');
  const { payload, retain, qos, topic } = will.message;
  debug(link, `Will message specified (${payload.length} bytes) (r${retain ? 1 : 0}, q${qos}).`);
  debug(link, `\t${printable(topic.name)}`);
}

/** @param clientId of a CONNECT that is refused; else that of the session */
export function traceConnack(
  connection: ClientConnection,
  clientId: string,
  isPresent: boolean,
  returnCode: number,
): void {
  const name = clientId === '' ? connection.address : printable(clientId);
  debug(connection, `Sending CONNACK to ${name} (${isPresent ? 1 : 0}, ${returnCode})`);
}

export function traceDisconnect(link: ClientLink, reasonCode: number): void {
  debug(link, `Sending DISCONNECT to ${nameOf(link)} (${reasonCode})`);
}
