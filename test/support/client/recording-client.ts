import { ClientContext } from '../../../src/client/client-context.ts';
import { ACKNOWLEDGE, type ClientHandlers, type CloseCause } from '../../../src/client/client-handlers.ts';
import { type ClientSettings, defaultClientSettings } from '../../../src/client/client-settings.ts';
import type { IncomingMessage } from '../../../src/client/incoming-message.ts';
import { MqttClient } from '../../../src/client/mqtt-client.ts';
import { OutgoingMessage } from '../../../src/client/outgoing-message.ts';
import type { QoS } from '../../../src/protocol/packet-type.ts';
import type { Properties } from '../../../src/protocol/properties.ts';
import { ScriptedServer } from './scripted-server.ts';

/** A client with an in-memory server, a clock that tests move, and a record of all that its handlers were told. */
export class RecordingClient {
  readonly server = new ScriptedServer();
  readonly events: string[] = [];
  readonly causes: CloseCause[] = [];
  readonly messages: { topicName: string; payload: string; dup: boolean; properties: Properties | null }[] = [];
  /** What `onMessage` does and answers. */
  answer: (message: IncomingMessage) => number = () => ACKNOWLEDGE;
  readonly client: MqttClient;
  nowMs = 1_000_000;

  constructor(settings: Partial<ClientSettings> = {}, clientId = 'c', handlers: Partial<ClientHandlers> = {}) {
    const all: ClientHandlers = {
      onConnected: () => this.events.push('connected'),
      onClosed: (_client, cause) => {
        this.events.push(`closed ${cause.kind}`);
        this.causes.push(cause);
      },
      onMessage: (_client, message) => {
        const { topicName, dup, properties } = message;
        this.messages.push({ topicName, payload: new TextDecoder().decode(message.copyPayload()), dup, properties });
        return this.answer(message);
      },
      onPublished: (_client, message, reasonCode) => this.events.push(`published ${text(message)} ${reasonCode}`),
      onSubscribed: (_client, packetId, suback) =>
        this.events.push(`subscribed ${packetId} ${suback === null ? 'never' : suback.reasonCodes.join()}`),
      onUnsubscribed: (_client, packetId, unsuback) =>
        this.events.push(`unsubscribed ${packetId} ${unsuback === null ? 'never' : unsuback.reasonCodes.join()}`),
      onAuth: (_client, packet) => this.events.push(`auth ${packet.reasonCode}`),
      onDrain: () => this.events.push('drain'),
      ...handlers,
    };
    this.client = new MqttClient(new ClientContext({ ...defaultClientSettings, ...settings }, all), clientId);
  }

  /** Asks for a connection; the test is to `open` it. */
  open() {
    this.client.open(this.server.connector, this.nowMs);
    return this.server.connection;
  }

  /** Asks for a connection and has it accepted. */
  connect(properties: Properties | null = null, sessionPresent = false) {
    const connection = this.open();
    connection.accept(properties, sessionPresent);
    return connection;
  }

  publish(payload: string, qos: QoS, topicName = 'a/b', properties: Properties | null = null): number {
    return this.client.publish(
      new OutgoingMessage(topicName, new TextEncoder().encode(payload), qos, false, properties),
    );
  }

  /** Moves the clock, with a tick each second. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    while (this.nowMs < end) {
      this.nowMs = Math.min(end, this.nowMs + 1_000);
      this.client.tick(this.nowMs);
    }
  }

  get cause(): CloseCause {
    const cause = this.causes.at(-1);
    if (cause === undefined) throw new Error('the connection has not ended');
    return cause;
  }
}

export function text(message: OutgoingMessage): string {
  return new TextDecoder().decode(message.payload);
}
