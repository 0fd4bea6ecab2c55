import type { ConnackPacket } from '../protocol/connack.ts';
import type { ConnectPacket } from '../protocol/connect.ts';
import type { AuthPacket, DisconnectPacket } from '../protocol/disconnect.ts';
import { PacketFramer } from '../protocol/packet-framer.ts';
import { packetTypeName, PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import { decodePacket, type Packet, writePacket } from '../protocol/packet.ts';
import type { Properties } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { ClientTransport, Connector, TransportError, TransportHandlers } from '../transport/client-transport.ts';
import type { ClientContext } from './client-context.ts';
import { type CloseCause, CloseKind } from './client-handlers.ts';
import { sessionOutlivesConnection } from './client-settings.ts';
import { noServerLimits, serverLimits, type ServerLimits } from './server-limits.ts';

export const ClientState = {
  /** No connection; `open` may be called. */
  idle: 0,
  /** The byte stream is being opened. */
  opening: 1,
  /** CONNECT is sent. */
  greeting: 2,
  connected: 3,
  /** `disconnect` was called; what was written before is still leaving. */
  closing: 4,
} as const;
export type ClientState = (typeof ClientState)[keyof typeof ClientState];

/** A server that takes no bytes, or does not close, keeps a closing connection no longer than this. */
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * The connection of a client: opening and closing the stream, CONNECT and CONNACK, enhanced authentication, keep
 * alive, and packets that break the rules. It has no timer: its owner calls `tick`.
 */
export abstract class ClientConnection extends PacketFramer implements TransportHandlers {
  readonly context: ClientContext;
  /** In MQTT 5 the server may assign another where it is empty; later connections then use that. */
  clientId: string;
  state: ClientState = ClientState.idle;
  limits: ServerLimits = noServerLimits;
  protected transport: ClientTransport | null = null;
  /** What CONNECT said. */
  private cleanStart = true;
  /** The server keeps the session after this connection. */
  private resumable = false;
  private closeReasonCode = 0;
  /** `bufferedAmount` at the last tick, while closing. */
  private leftToSend = 0;
  private keepAliveMs = 0;
  private stateSinceMs = 0;
  private lastTickMs = 0;
  private lastSentMs = 0;
  private lastReceivedMs = 0;
  /** -1: no PINGREQ waits for an answer. */
  private pingSentMs = -1;
  private readingPaused = false;
  private sentSinceTick = false;
  private receivedSinceTick = false;

  constructor(context: ClientContext, clientId: string) {
    super();
    this.context = context;
    this.clientId = clientId;
    this.protocolVersion = context.settings.protocolVersion;
  }

  /** The session goes on where `present`, else begins; called right before `notifyConnected`. */
  protected abstract beginSession(present: boolean): void;
  /** Whatever waited for an answer on this connection will not get it. */
  protected abstract endConnection(): void;
  /** A packet that belongs to the session. */
  protected abstract handleSessionPacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void;
  protected abstract notifyConnected(connack: ConnackPacket): void;
  protected abstract notifyClosed(cause: CloseCause): void;
  protected abstract notifyAuth(packet: AuthPacket): void;
  protected abstract notifyDrain(): void;
  protected abstract traceSent(packet: Packet): void;
  protected abstract traceReceived(packet: Packet): void;

  /** Bytes written that the network has not taken. A publisher waits above some bound, until `onDrain`. */
  get bufferedAmount(): number {
    return this.transport?.bufferedAmount ?? 0;
  }

  get isConnected(): boolean {
    return this.state === ClientState.connected;
  }

  /**
   * Begins a connection; `onConnected` or `onClosed` tells the outcome.
   *
   * @throws Error where there is a connection already
   */
  open(connector: Connector, nowMs: number): void {
    if (this.state !== ClientState.idle) throw new Error('the client has a connection already');
    this.state = ClientState.opening;
    this.stateSinceMs = nowMs;
    this.lastTickMs = nowMs;
    this.closeReasonCode = 0;
    this.readingPaused = false;
    this.limits = noServerLimits;
    this.transport = connector(this);
  }

  /**
   * Ends the connection after all that was written before has left; `onClosed` follows. Without a connection to say it
   * on, the attempt ends at once. Without any attempt, nothing happens.
   */
  disconnect(reasonCode: number = ReasonCode.normalDisconnection, properties: Properties | null = null): void {
    if (this.state === ClientState.idle || this.state === ClientState.closing) return;
    this.closeReasonCode = reasonCode;
    if (this.state !== ClientState.connected) {
      this.transport?.abort();
      this.finish(CloseKind.requested, reasonCode, null, null);
      return;
    }
    this.sendPacket({ type: PacketType.disconnect, reasonCode, properties });
    this.state = ClientState.closing;
    this.stateSinceMs = this.lastTickMs;
    this.framingStopped = true;
    this.transport?.close();
  }

  /** Ends the connection at once and without DISCONNECT, so that the server publishes the will. */
  abort(): void {
    if (this.state === ClientState.idle) return;
    this.transport?.abort();
    this.finish(CloseKind.requested, this.closeReasonCode, null, null);
  }

  /** Sends AUTH: 0x18 to go on, 0x19 to authenticate anew (v5 [MQTT-4.12.0-3], section 4.12.1). */
  authenticate(reasonCode: number, properties: Properties): void {
    if (this.state !== ClientState.greeting && this.state !== ClientState.connected) return;
    this.sendPacket({ type: PacketType.auth, reasonCode, properties });
  }

  /** Stops messages until `resumeReading`, or the end of the connection. Pings go on, but nobody waits for answers. */
  pauseReading(): void {
    this.readingPaused = true;
    this.transport?.pause();
  }

  resumeReading(): void {
    this.readingPaused = false;
    this.transport?.resume();
  }

  /**
   * Keep alive and timeouts; to be called every second or so, with milliseconds of a clock that never goes back. A ping
   * leaves at the last tick that is early enough (v5 [MQTT-3.1.2-20]), taking the next to be as far away as the last.
   */
  tick(nowMs: number): void {
    const sinceLastTick = nowMs - this.lastTickMs;
    if (this.sentSinceTick) this.lastSentMs = this.lastTickMs;
    const hasReceived = this.receivedSinceTick || this.readingPaused;
    if (hasReceived) this.lastReceivedMs = nowMs;
    this.sentSinceTick = false;
    this.receivedSinceTick = false;
    this.lastTickMs = nowMs;
    if (this.state === ClientState.connected) {
      if (this.keepAliveMs > 0) this.keepAlive(nowMs, sinceLastTick, hasReceived);
    } else if (this.state !== ClientState.idle) this.checkTimeout(nowMs - this.stateSinceMs);
  }

  private keepAlive(nowMs: number, sinceLastTick: number, hasReceived: boolean): void {
    if (this.pingSentMs >= 0) {
      const timeoutMs = this.context.settings.pingTimeoutMs || this.keepAliveMs;
      if (hasReceived) this.pingSentMs = -1;
      else if (nowMs - this.pingSentMs >= timeoutMs) {
        this.transport?.abort();
        this.finish(CloseKind.keepAliveTimeout, ReasonCode.keepAliveTimeout, null, null);
        return;
      } else return;
    }
    const idleMs = nowMs - Math.min(this.lastSentMs, this.lastReceivedMs);
    if (idleMs + sinceLastTick <= this.keepAliveMs) return;
    this.sendPacket({ type: PacketType.pingreq });
    this.pingSentMs = nowMs;
    this.lastReceivedMs = nowMs;
  }

  private checkTimeout(elapsedMs: number): void {
    if (this.state === ClientState.closing) {
      if (this.bufferedAmount !== this.leftToSend) {
        this.leftToSend = this.bufferedAmount;
        this.stateSinceMs = this.lastTickMs;
      } else if (elapsedMs >= CLOSE_TIMEOUT_MS) this.abort();
      return;
    }
    const { connectTimeoutMs } = this.context.settings;
    if (connectTimeoutMs === 0 || elapsedMs < connectTimeoutMs) return;
    this.transport?.abort();
    this.finish(CloseKind.connectTimeout, 0, null, null);
  }

  onTransportOpen(transport: ClientTransport): void {
    if (transport !== this.transport) return;
    const { settings } = this.context;
    const isV5 = settings.protocolVersion === ProtocolVersion.v5;
    this.state = ClientState.greeting;
    this.dropGathered();
    this.framingStopped = false;
    this.cleanStart = settings.cleanStart && !(isV5 && this.resumable);
    const packet: ConnectPacket = {
      type: PacketType.connect,
      protocolVersion: settings.protocolVersion,
      bridge: settings.bridge,
      cleanStart: this.cleanStart,
      keepAlive: settings.keepAlive,
      clientId: this.clientId,
      will: settings.will,
      username: settings.username,
      password: settings.password,
      properties: isV5 ? settings.properties : null,
    };
    this.sendPacket(packet);
  }

  onTransportData(transport: ClientTransport, chunk: Uint8Array, start: number, end: number): void {
    if (transport !== this.transport || this.state === ClientState.closing) return;
    this.receivedSinceTick = true;
    this.push(chunk, start, end);
  }

  onTransportDrain(transport: ClientTransport): void {
    if (transport === this.transport) this.notifyDrain();
  }

  onTransportClose(transport: ClientTransport, error: TransportError | null): void {
    if (transport !== this.transport) return;
    if (this.state === ClientState.closing) this.finish(CloseKind.requested, this.closeReasonCode, null, null);
    else this.finish(CloseKind.transport, 0, null, error);
  }

  protected override maximumPacketLength(): number {
    return this.context.maximumPacketSize;
  }

  /** An MQTT 5 server is told the reason (v5 section 4.13.1); either way the connection ends. */
  protected override handleFramingError(error: ProtocolError): void {
    if (this.transport === null) return;
    if (this.state === ClientState.connected && this.protocolVersion === ProtocolVersion.v5) {
      this.sendPacket({ type: PacketType.disconnect, reasonCode: error.reasonCode, properties: null });
    }
    this.closeTransport();
    this.finish(CloseKind.protocolError, error.reasonCode, null, error);
  }

  protected override handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.state === ClientState.connected && isSessionPacket(firstByte >> 4)) {
      this.handleSessionPacket(firstByte, bytes, start, end);
      return;
    }
    const packet = decodePacket(firstByte, bytes, start, end, this.protocolVersion, 'server');
    if (packet.type === PacketType.connack && this.state === ClientState.greeting) this.handleConnack(packet);
    else if (packet.type === PacketType.auth) this.handleAuth(packet);
    else if (packet.type === PacketType.pingresp && this.state === ClientState.connected) this.traceReceived(packet);
    else if (packet.type === PacketType.disconnect && this.state === ClientState.connected) {
      this.handleDisconnect(packet);
    } else throw unexpected(packet.type, this.state);
  }

  private handleConnack(packet: ConnackPacket): void {
    const { reasonCode, properties } = packet;
    const { settings } = this.context;
    this.traceReceived(packet);
    if (packet.sessionPresent && (reasonCode !== 0 || this.cleanStart)) {
      throw new ProtocolError(
        ReasonCode.protocolError,
        reasonCode === 0 ? 'session present, and a clean start was asked for' : 'session present with a refusal',
        reasonCode === 0 ? 'v5 [MQTT-3.2.2-4]' : 'v5 [MQTT-3.2.2-6]',
      );
    }
    if (reasonCode !== 0) {
      this.closeTransport();
      this.finish(CloseKind.refused, reasonCode, properties, null);
      return;
    }
    this.checkMethod(properties);
    this.limits = serverLimits(properties, this.context.latestLimits);
    this.context.latestLimits = this.limits;
    if (properties?.assignedClientIdentifier !== undefined) this.clientId = properties.assignedClientIdentifier;
    this.keepAliveMs = (properties?.serverKeepAlive ?? settings.keepAlive) * 1_000;
    this.lastSentMs = this.lastTickMs;
    this.lastReceivedMs = this.lastTickMs;
    this.pingSentMs = -1;
    this.resumable = sessionOutlivesConnection(settings, properties?.sessionExpiryInterval);
    this.state = ClientState.connected;
    // MQTT 3.1 has no Session Present: the server must have the session that we did not ask it to clean.
    const isPresent =
      packet.sessionPresent || (settings.protocolVersion === ProtocolVersion.v31 && !settings.cleanStart);
    this.beginSession(isPresent);
    if (this.state === ClientState.connected) this.notifyConnected(packet);
  }

  private handleAuth(packet: AuthPacket): void {
    this.traceReceived(packet);
    if (this.context.settings.properties?.authenticationMethod === undefined) {
      throw new ProtocolError(ReasonCode.protocolError, 'AUTH, and we named no method', 'v5 [MQTT-4.12.0-6]');
    }
    if (packet.reasonCode === ReasonCode.reAuthenticate) {
      throw new ProtocolError(ReasonCode.protocolError, 'AUTH 0x19 is for clients to send', 'v5 [MQTT-3.15.2-1]');
    }
    this.checkMethod(packet.properties);
    this.notifyAuth(packet);
  }

  /** The server speaks of the method that CONNECT named (v5 [MQTT-4.12.0-5], [MQTT-4.12.0-6]). */
  private checkMethod(properties: Properties | null): void {
    if (properties?.authenticationMethod === this.context.settings.properties?.authenticationMethod) return;
    throw new ProtocolError(
      ReasonCode.protocolError,
      'authentication method is not the one of CONNECT',
      'v5 [MQTT-4.12.0-5]',
    );
  }

  private handleDisconnect(packet: DisconnectPacket): void {
    this.traceReceived(packet);
    if (this.protocolVersion !== ProtocolVersion.v5) throw unexpected(PacketType.disconnect, this.state);
    if (packet.properties?.sessionExpiryInterval !== undefined) {
      throw new ProtocolError(
        ReasonCode.protocolError,
        'DISCONNECT of a server with a session expiry interval',
        'v5 [MQTT-3.14.2-2]',
      );
    }
    this.closeTransport();
    this.finish(CloseKind.serverDisconnect, packet.reasonCode, packet.properties, null);
  }

  /**
   * Encodes and sends.
   *
   * @returns false where the packet is larger than the server takes (v5 [MQTT-3.2.2-15]); then nothing was sent
   */
  protected sendPacket(packet: Packet): boolean {
    const { writer } = this.context;
    try {
      writePacket(writer, packet, this.protocolVersion);
    } catch (error) {
      if (error instanceof ProtocolError && error.reasonCode === ReasonCode.packetTooLarge) return false;
      throw error;
    }
    if (writer.offset - writer.packetStart > this.limits.maximumPacketSize) return false;
    this.traceSent(packet);
    this.write(writer.bytes, writer.packetStart, writer.offset);
    return true;
  }

  protected write(bytes: Uint8Array, start: number, end: number): void {
    this.sentSinceTick = true;
    this.transport?.write(bytes, start, end);
  }

  /** For an end that is known already: nothing the stream still reports is news. */
  private closeTransport(): void {
    const { transport } = this;
    this.transport = null;
    transport?.close();
  }

  private finish(kind: CloseKind, reasonCode: number, properties: Properties | null, error: Error | null): void {
    const wasConnected = this.state === ClientState.connected || this.state === ClientState.closing;
    this.transport = null;
    this.state = ClientState.idle;
    this.framingStopped = true;
    this.dropGathered();
    this.endConnection();
    this.notifyClosed({ kind, reasonCode, properties, error, wasConnected });
  }
}

function isSessionPacket(type: number): boolean {
  return (
    (type >= PacketType.publish && type <= PacketType.pubcomp) ||
    type === PacketType.suback ||
    type === PacketType.unsuback
  );
}

function unexpected(type: number, state: ClientState): ProtocolError {
  const when = state === ClientState.connected ? 'from a server' : 'before CONNACK';
  return new ProtocolError(ReasonCode.protocolError, `${packetTypeName(type)} ${when}`, 'v5 section 4.13.1');
}
