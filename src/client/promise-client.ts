// The client for plain use: promises and a timer around `MqttClient`. Load tests and bridges use the core itself.
import type { ConnackPacket } from '../protocol/connack.ts';
import type { QoS } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ReasonCode, reasonCodeName } from '../protocol/reason-code.ts';
import type { SubackPacket, UnsubackPacket } from '../protocol/suback.ts';
import { RetainHandling, type SubscriptionRequest } from '../protocol/subscribe.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import type { Connector } from '../transport/client-transport.ts';
import { ClientContext } from './client-context.ts';
import { ACKNOWLEDGE, type ClientHandlers, type CloseCause, CloseKind, ignoreAll } from './client-handlers.ts';
import { type ClientSettings, defaultClientSettings } from './client-settings.ts';
import type { IncomingMessage } from './incoming-message.ts';
import { MqttClient } from './mqtt-client.ts';
import { OutgoingMessage } from './outgoing-message.ts';
import { type ReconnectOptions, Reconnector } from './reconnector.ts';

/** A received message in memory of its own. */
export interface Message {
  readonly topicName: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly properties: Properties | null;
}

/** The client's only source of time. */
export interface Scheduler {
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** Calls again and again until the result is called. */
  every(intervalMs: number, callback: () => void): () => void;
}

export const systemScheduler: Scheduler = {
  nowMs: () => performance.now(),
  every(intervalMs, callback) {
    const timer = setInterval(callback, intervalMs);
    return () => clearInterval(timer);
  },
};

export interface PromiseClientOptions {
  readonly connector: Connector;
  /** Empty lets the server choose (with MQTT 3.1.1 and 5). */
  readonly clientId?: string;
  /** What differs from `defaultClientSettings`. */
  readonly settings?: Partial<ClientSettings>;
  /** Null, as by default: a connection that ends is not replaced. */
  readonly reconnect?: ReconnectOptions | null;
  readonly onMessage?: (message: Message) => void;
  /** Each connection after the first; without a resumed session it is time to subscribe again. */
  readonly onReconnected?: (connack: ConnackPacket) => void;
  /** The end of a connection. `retryInMs` is -1 where no other follows. */
  readonly onClosed?: (cause: CloseCause, retryInMs: number) => void;
  readonly scheduler?: Scheduler;
  readonly random?: () => number;
}

export interface PublishOptions {
  readonly qos?: QoS;
  readonly retain?: boolean;
  readonly properties?: Properties | null;
}

export interface PublishResult {
  /** 0, or 0x10: nobody subscribes. At QoS 0 always 0. */
  readonly reasonCode: number;
  readonly properties: Properties | null;
}

/** A request the server refused, or that could not be made or finished. */
export class ClientError extends Error {
  /** Of MQTT 5, or a `ConnectReturnCode` of an MQTT 3 CONNACK; 0x88 where there is or was no connection. */
  readonly reasonCode: number;
  /** Why the connection ended, where that is the reason. */
  readonly closeCause: CloseCause | null;

  constructor(message: string, reasonCode: number, closeCause: CloseCause | null) {
    super(message, closeCause?.error == null ? undefined : { cause: closeCause.error });
    this.name = 'ClientError';
    this.reasonCode = reasonCode;
    this.closeCause = closeCause;
  }
}

const TICK_MS = 1_000;

class PendingMessage extends OutgoingMessage {
  readonly outcome = Promise.withResolvers<PublishResult>();
}

type Answer = SubackPacket | UnsubackPacket;

/**
 * Opens a connection.
 *
 * @throws ClientError where it is refused or does not come about; the first attempt is never repeated
 */
export async function connectClient(options: PromiseClientOptions): Promise<PromiseClient> {
  const client = new PromiseClient(options);
  await client.opened;
  return client;
}

export class PromiseClient {
  /** Of the latest connection; null before the first. */
  connack: ConnackPacket | null = null;
  /** Settled by the first attempt. */
  readonly opened: Promise<void>;
  private readonly options: PromiseClientOptions;
  private readonly client: MqttClient;
  private readonly scheduler: Scheduler;
  private readonly reconnector: Reconnector | null;
  private readonly opening = Promise.withResolvers<void>();
  private readonly closing = Promise.withResolvers<void>();
  private readonly requests = new Map<number, PromiseWithResolvers<Answer>>();
  /** Messages the client keeps, to be rejected when no connection will follow. */
  private readonly messages = new Set<PendingMessage>();
  private readonly stopTicking: () => void;
  private isOver = false;

  constructor(options: PromiseClientOptions) {
    this.options = options;
    this.scheduler = options.scheduler ?? systemScheduler;
    this.reconnector =
      options.reconnect == null ? null : new Reconnector(options.reconnect, options.random ?? Math.random);
    this.opened = this.opening.promise;
    const context = new ClientContext({ ...defaultClientSettings, ...options.settings }, this.handlers());
    this.client = new MqttClient(context, options.clientId ?? '');
    this.stopTicking = this.scheduler.every(TICK_MS, () => this.tick());
    this.client.open(options.connector, this.scheduler.nowMs());
  }

  get clientId(): string {
    return this.client.clientId;
  }

  get isConnected(): boolean {
    return this.client.isConnected;
  }

  /**
   * Resolves at QoS 0 when the message is on its way, else when the server has acknowledged it, on whichever connection.
   *
   * @throws ClientError where it is refused or will never be sent
   */
  async publish(topicName: string, payload: string | Uint8Array, options: PublishOptions = {}): Promise<PublishResult> {
    if (this.isOver) throw new ClientError('the client is closed', ReasonCode.serverUnavailable, null);
    const bytes = typeof payload === 'string' ? encodeUtf8(payload) : payload;
    const message = new PendingMessage(topicName, bytes, options.qos, options.retain, options.properties);
    const refusal = this.client.publish(message);
    if (refusal !== ReasonCode.success) throw refused('publish', refusal);
    if (message.qos === 0) return { reasonCode: ReasonCode.success, properties: null };
    this.messages.add(message);
    return message.outcome.promise;
  }

  /**
   * Subscribes at QoS 0 where only the filter is given.
   *
   * @returns the reason codes, one for each filter; those below 0x80 are granted QoS levels
   * @throws ClientError without a connection, or where it ends before the answer
   */
  async subscribe(
    subscriptions: string | (Partial<SubscriptionRequest> & { topicFilter: string })[],
    properties: Properties | null = null,
  ): Promise<number[]> {
    const list = typeof subscriptions === 'string' ? [{ topicFilter: subscriptions }] : subscriptions;
    const requests = list.map((one): SubscriptionRequest => ({
      qos: 0,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: RetainHandling.send,
      ...one,
    }));
    return (await this.request('subscribe', this.client.subscribe(requests, properties))).reasonCodes;
  }

  /** Returns the reason codes of MQTT 5, none before. Throws as `subscribe` does. */
  async unsubscribe(topicFilters: string | string[], properties: Properties | null = null): Promise<number[]> {
    const list = typeof topicFilters === 'string' ? [topicFilters] : topicFilters;
    return (await this.request('unsubscribe', this.client.unsubscribe(list, properties))).reasonCodes;
  }

  /** Ends the connection, and attempts to have one. Messages that were not acknowledged are given up. */
  async disconnect(
    reasonCode: number = ReasonCode.normalDisconnection,
    properties: Properties | null = null,
  ): Promise<void> {
    this.reconnector?.cancel();
    if (this.client.isConnected) this.client.disconnect(reasonCode, properties);
    else {
      this.client.abort();
      this.end(null);
    }
    await this.closing.promise;
  }

  private request(what: string, packetId: number): Promise<Answer> {
    if (packetId < 0) throw refused(what, -packetId);
    const request = Promise.withResolvers<Answer>();
    this.requests.set(packetId, request);
    return request.promise;
  }

  private tick(): void {
    const nowMs = this.scheduler.nowMs();
    this.client.tick(nowMs);
    if (this.reconnector?.isDue(nowMs) === true) this.client.open(this.options.connector, nowMs);
  }

  private handlers(): ClientHandlers {
    const answer = (packetId: number, packet: Answer | null) => {
      const request = this.requests.get(packetId);
      this.requests.delete(packetId);
      if (packet !== null) request?.resolve(packet);
      else
        request?.reject(new ClientError('the connection ended before the answer', ReasonCode.serverUnavailable, null));
    };
    return {
      ...ignoreAll,
      onConnected: (_client, connack) => this.handleConnected(connack),
      onClosed: (_client, cause) => this.handleClosed(cause),
      onMessage: (_client, message) => {
        this.options.onMessage?.(copyMessage(message));
        return ACKNOWLEDGE;
      },
      onPublished: (_client, message, reasonCode, properties) => {
        if (!(message instanceof PendingMessage)) return;
        this.messages.delete(message);
        if (reasonCode < 0x80) message.outcome.resolve({ reasonCode, properties });
        else message.outcome.reject(refused('publish', reasonCode));
      },
      onSubscribed: (_client, packetId, suback) => answer(packetId, suback),
      onUnsubscribed: (_client, packetId, unsuback) => answer(packetId, unsuback),
    };
  }

  private handleConnected(connack: ConnackPacket): void {
    const isFirst = this.connack === null;
    this.connack = connack;
    this.reconnector?.connected(this.scheduler.nowMs());
    if (isFirst) this.opening.resolve();
    else this.options.onReconnected?.(connack);
  }

  private handleClosed(cause: CloseCause): void {
    const isFirst = this.connack === null;
    const retryInMs = isFirst ? -1 : (this.reconnector?.closed(cause, this.scheduler.nowMs()) ?? -1);
    if (isFirst) this.opening.reject(closedError(cause));
    this.options.onClosed?.(cause, retryInMs);
    if (retryInMs < 0) this.end(cause);
  }

  private end(cause: CloseCause | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.stopTicking();
    for (const message of this.messages) {
      message.outcome.reject(
        cause === null
          ? new ClientError('the client was closed', ReasonCode.serverUnavailable, null)
          : closedError(cause),
      );
    }
    this.messages.clear();
    this.closing.resolve();
  }
}

function copyMessage(message: IncomingMessage): Message {
  return {
    topicName: message.topicName,
    payload: message.copyPayload(),
    qos: message.qos,
    retain: message.retain,
    dup: message.dup,
    properties: message.properties,
  };
}

function refused(what: string, reasonCode: number): ClientError {
  return new ClientError(`${what}: ${reasonCodeName(reasonCode)}`, reasonCode, null);
}

function closedError(cause: CloseCause): ClientError {
  const isAnswer = cause.kind === CloseKind.refused || cause.kind === CloseKind.serverDisconnect;
  const detail = cause.error?.message ?? (isAnswer ? reasonCodeName(cause.reasonCode) : null);
  return new ClientError(
    detail === null ? `connection: ${cause.kind}` : `connection: ${cause.kind}: ${detail}`,
    isAnswer ? cause.reasonCode : ReasonCode.serverUnavailable,
    cause,
  );
}
