// `martlet rr`: the command line of mosquitto_rr, which sends a request and waits for the response.
import { ACKNOWLEDGE } from '../client/client-handlers.ts';
import type { IncomingMessage } from '../client/incoming-message.ts';
import type { MqttClient } from '../client/mqtt-client.ts';
import { OutgoingMessage } from '../client/outgoing-message.ts';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { RetainHandling } from '../protocol/subscribe.ts';
import { runClientCommand } from './client-command.ts';
import { type CommandIo, processIo } from './client-io.ts';
import type { ClientOptions } from './client-options.ts';
import { describePublishFailure, describePublishRefusal, ExitStatus, reasonText } from './client-outcome.ts';
import { loadPayload } from './client-payload.ts';
import { MessagePrinter } from './client-printer.ts';
import { ClientRun } from './client-run.ts';
import { ClientSetupError } from './client-setup-error.ts';
import { ClientUsageError } from './client-usage-error.ts';

/** Where mosquitto_pub says 0 or 1, mosquitto_rr tells more. */
const refusalStatus: Readonly<Record<number, number>> = {
  [ReasonCode.topicNameInvalid]: ExitStatus.invalidInput,
  [ReasonCode.qosNotSupported]: ExitStatus.qosNotSupported,
  [ReasonCode.packetTooLarge]: ExitStatus.packetTooLarge,
};

/** @returns the exit status */
export async function runRr(args: string[], io: CommandIo = processIo()): Promise<number> {
  const status = await runClientCommand('rr', args, io, (options) => request(options, io));
  await Promise.all([io.stdout.flush(), io.stderr.flush()]);
  return status;
}

async function request(options: ClientOptions, io: CommandIo): Promise<number> {
  const { source, responseTopic, topics } = options;
  const payload = source === null || source.kind === 'lines' ? null : await loadPayload(source, io);
  if (payload === null || responseTopic === null || topics.length === 0) {
    throw new ClientUsageError('Error: All of topic, message, and response topic must be supplied.', 1);
  }
  if (options.properties.publish?.responseTopic !== undefined) {
    throw new ClientSetupError('Error in PUBLISH properties: Duplicate response topic.');
  }
  return new Requester(options, io, payload, responseTopic).run();
}

class Requester {
  private readonly options: ClientOptions;
  private readonly payload: Uint8Array;
  private readonly responseTopic: string;
  private readonly io: CommandIo;
  private readonly clientRun: ClientRun;
  private readonly printer: MessagePrinter;
  private sentAtMs = 0;
  private hasResponse = false;

  /** @throws ClientSetupError */
  constructor(options: ClientOptions, io: CommandIo, payload: Uint8Array, responseTopic: string) {
    this.options = options;
    this.io = io;
    this.payload = payload;
    this.responseTopic = responseTopic;
    this.clientRun = new ClientRun(options, io, {
      reconnects: false,
      onConnected: (client) => this.subscribe(client),
      onSubscribed: (client, _packetId, suback) => {
        if (suback !== null) this.handleSuback(client, suback.reasonCodes[0]!);
      },
      onMessage: (client, message) => this.handleMessage(client, message),
      onPublished: (_client, message, reasonCode, properties) => {
        if (reasonCode < 0x80) return;
        this.clientRun.reportError(describePublishFailure(message.packetId, reasonCode, properties));
      },
    });
    this.printer = new MessagePrinter(options, io.stdout, (message) => this.clientRun.reportError(message));
  }

  async run(): Promise<number> {
    const { timeout } = this.options;
    const timer = timeout === 0 ? null : setTimeout(() => this.timeOut(), Math.min(timeout * 1_000, 2 ** 31 - 1));
    try {
      return await this.clientRun.run();
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }

  private timeOut(): void {
    const { clientRun } = this;
    if (clientRun.isLeaving) return;
    clientRun.reportError('Timed out');
    clientRun.leave(ExitStatus.timeout, ReasonCode.disconnectWithWill);
  }

  private subscribe(client: MqttClient): void {
    const { qos, retainAsPublished, retainHandling, noRetained, properties } = this.options;
    const subscription = {
      topicFilter: this.responseTopic,
      qos,
      noLocal: false,
      retainAsPublished,
      retainHandling: noRetained ? RetainHandling.never : (retainHandling ?? RetainHandling.send),
    };
    const result = client.subscribe([subscription], properties.subscribe);
    if (result > 0) return;
    this.clientRun.reportError(`Error: ${reasonText(-result)}.`);
    this.clientRun.leave(ExitStatus.failure);
  }

  private handleSuback(client: MqttClient, reasonCode: number): void {
    if (reasonCode >= 0x80) {
      this.clientRun.reportError(reasonText(reasonCode));
      this.clientRun.leave(ExitStatus.success);
      return;
    }
    const { topics, qos } = this.options;
    this.sentAtMs = performance.now();
    const refusal = client.publish(new OutgoingMessage(topics[0]!, this.payload, qos, false, this.properties()));
    if (refusal === ReasonCode.success) return;
    this.clientRun.reportError(describePublishRefusal(refusal).message);
    this.clientRun.leave(refusalStatus[refusal] ?? ExitStatus.failure);
  }

  private properties(): Properties | null {
    if (this.options.protocolVersion !== ProtocolVersion.v5) return null;
    return { ...this.options.properties.publish, responseTopic: this.responseTopic };
  }

  private handleMessage(client: MqttClient, message: IncomingMessage): number {
    const { options } = this;
    if (this.hasResponse) return ACKNOWLEDGE;
    // Before it is printed, as with Mosquitto, and before DISCONNECT.
    if (message.acknowledgement !== 0) client.acknowledge(message.acknowledgement);
    if (message.retain && options.noRetained) return ACKNOWLEDGE;
    this.hasResponse = true;
    const receivedAtMs = performance.now();
    this.printer.print(message);
    if (options.measureLatency) this.io.stdout.write(`Latency: ${describeLatency(receivedAtMs - this.sentAtMs)}\n`);
    this.clientRun.leave(ExitStatus.success);
    return ACKNOWLEDGE;
  }
}

/** In the units of mosquitto_rr. */
export function describeLatency(ms: number): string {
  if (ms >= 1_000) return (ms / 1_000).toFixed(9);
  return ms >= 1 ? `${ms.toFixed(6)}ms` : `${(ms * 1_000).toFixed(6)}µs`;
}
