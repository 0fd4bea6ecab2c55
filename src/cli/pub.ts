// `martlet pub`: the command line of mosquitto_pub.
import type { MqttClient } from '../client/mqtt-client.ts';
import { OutgoingMessage } from '../client/outgoing-message.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { runClientCommand } from './client-command.ts';
import { type CommandIo, processIo } from './client-io.ts';
import { LinePublisher } from './client-line-publisher.ts';
import type { ClientOptions, MessageSource } from './client-options.ts';
import { describePublishFailure, describePublishRefusal, ExitStatus } from './client-outcome.ts';
import { loadPayload } from './client-payload.ts';
import { ClientRun } from './client-run.ts';
import { clientUsage } from './client-usage.ts';

/** @returns the exit status */
export async function runPub(args: string[], io: CommandIo = processIo()): Promise<number> {
  const status = await runClientCommand('pub', args, io, (options) => pub(options, io));
  await Promise.all([io.stdout.flush(), io.stderr.flush()]);
  return status;
}

async function pub(options: ClientOptions, io: CommandIo): Promise<number> {
  const { source } = options;
  if (source === null || options.topics.length === 0) {
    io.stderr.write('Error: Both topic and message must be supplied.\n');
    io.stdout.write(clientUsage('pub'));
    return ExitStatus.failure;
  }
  return source.kind === 'lines' ? new LinePublisher(options, io).publish() : publishOne(options, source, io);
}

async function publishOne(
  options: ClientOptions,
  source: Exclude<MessageSource, { kind: 'lines' }>,
  io: CommandIo,
): Promise<number> {
  const payload = await loadPayload(source, io);
  const repeater = new Repeater(options, payload);
  const run = new ClientRun(options, io, {
    reconnects: false,
    onConnected: (client) => repeater.next(client),
    onPublished: (client, message, reasonCode, properties) => {
      if (reasonCode >= 0x80) run.reportError(describePublishFailure(message.packetId, reasonCode, properties));
      repeater.delivered(client);
    },
    onDrain: (client) => repeater.next(client),
  });
  repeater.run = run;
  return run.run();
}

/** A QoS 0 flood waits for the network above this many bytes. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

/** Publishes one message, `--repeat` times, each when the one before is delivered. */
class Repeater {
  run: ClientRun | null = null;
  private readonly options: ClientOptions;
  private readonly payload: Uint8Array;
  private sent = 0;
  private isWaiting = false;

  constructor(options: ClientOptions, payload: Uint8Array) {
    this.options = options;
    this.payload = payload;
  }

  next(client: MqttClient): void {
    const { options } = this;
    while (this.run?.isLeaving === false && !this.isWaiting && client.isConnected) {
      if (client.bufferedAmount > MAX_BUFFERED_BYTES && this.sent > 0 && this.sent < options.repeat) return;
      const refusal = client.publish(this.message());
      if (refusal !== ReasonCode.success) {
        const { message, status } = describePublishRefusal(refusal);
        this.run.reportError(message);
        this.run.leave(status);
        return;
      }
      this.sent++;
      if (options.qos > 0) return;
      this.delivered(client);
    }
  }

  delivered(client: MqttClient): void {
    const { repeat, repeatDelayMs, qos } = this.options;
    if (this.sent >= repeat) this.run?.leave(ExitStatus.success);
    else if (repeatDelayMs > 0) {
      this.isWaiting = true;
      const timer = setTimeout(() => {
        this.isWaiting = false;
        this.next(client);
      }, repeatDelayMs);
      // It must not hold up a process whose connection has ended.
      timer.unref();
    } else if (qos > 0) this.next(client);
  }

  /** A topic alias stands for the topic from the second message on. */
  private message(): OutgoingMessage {
    const { topics, qos, retain, properties } = this.options;
    const topicName = properties.publish?.topicAlias !== undefined && this.sent > 0 ? '' : topics[0]!;
    return new OutgoingMessage(topicName, this.payload, qos, retain, properties.publish);
  }
}
