// `martlet sub`: the command line of mosquitto_sub.
import { ACKNOWLEDGE } from '../client/client-handlers.ts';
import type { IncomingMessage } from '../client/incoming-message.ts';
import type { MqttClient } from '../client/mqtt-client.ts';
import { OutgoingMessage } from '../client/outgoing-message.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { RetainHandling } from '../protocol/subscribe.ts';
import { topicMatches } from '../protocol/topic.ts';
import { ClientSetupError } from './client-endpoint.ts';
import { type CommandIo, processIo } from './client-io.ts';
import { type ClientOptions, parseClientCommand } from './client-options.ts';
import { ExitStatus, reasonText } from './client-outcome.ts';
import { MessagePrinter } from './client-printer.ts';
import { ClientRun } from './client-run.ts';
import { clientUsage, clientVersion, usageComplaint } from './client-usage.ts';
import { ClientUsageError } from './client-usage-error.ts';

/** Messages are read no further while standard output has this much left to take. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** After a stop signal, output that its reader does not take is given up. */
const FLUSH_LIMIT_MS = 1_000;

/** @returns the exit status */
export async function runSub(args: string[], io: CommandIo = processIo()): Promise<number> {
  const { status, wasStopped } = await sub(args, io);
  const flushed = Promise.all([io.stdout.flush(), io.stderr.flush()]);
  if (!wasStopped) await flushed;
  else {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, FLUSH_LIMIT_MS);
    await Promise.race([flushed, limit.promise]);
    clearTimeout(timer);
  }
  return status;
}

async function sub(args: string[], io: CommandIo): Promise<{ status: number; wasStopped: boolean }> {
  let quiet = false;
  try {
    const parsed = parseClientCommand('sub', args);
    if (parsed.kind !== 'run') {
      io.stdout.write(parsed.kind === 'help' ? clientUsage('sub') : clientVersion('sub'));
      return { status: ExitStatus.failure, wasStopped: false };
    }
    quiet = parsed.options.quiet;
    const subscriber = new Subscriber(parsed.options, io);
    const status = await subscriber.subscribe();
    return { status, wasStopped: subscriber.wasStopped };
  } catch (error) {
    if (error instanceof ClientUsageError) io.stderr.write(usageComplaint('sub', error));
    else if (!(error instanceof ClientSetupError)) throw error;
    else if (!quiet) io.stderr.write(`${error.message}\n`);
    return { status: ExitStatus.failure, wasStopped: false };
  }
}

class Subscriber {
  wasStopped = false;
  private readonly options: ClientOptions;
  private readonly io: CommandIo;
  private readonly run: ClientRun;
  private readonly printer: MessagePrinter;
  private printed = 0;
  /** No further message counts; what is left to do is to have retained messages removed. */
  private isDone = false;
  private isPaused = false;

  /** @throws ClientSetupError */
  constructor(options: ClientOptions, io: CommandIo) {
    this.options = options;
    this.io = io;
    this.run = new ClientRun(options, io, {
      reconnects: true,
      onConnected: (client) => this.requestTopics(client),
      onSubscribed: (_client, packetId, suback) => {
        if (suback !== null) this.handleSuback(packetId, suback.reasonCodes);
      },
      onMessage: (client, message) => this.handleMessage(client, message),
      onPublished: (client) => this.leaveWhenDone(client),
    });
    this.printer = new MessagePrinter(options, io.stdout, (message) => this.run.reportError(message));
  }

  async subscribe(): Promise<number> {
    const { run, options } = this;
    const stopListening = this.io.onStopSignal(() => this.stop());
    const timer =
      options.timeout === 0 ? null : setTimeout(() => this.timeOut(), Math.min(options.timeout * 1_000, 2 ** 31 - 1));
    try {
      return await run.run();
    } finally {
      stopListening();
      if (timer !== null) clearTimeout(timer);
    }
  }

  /** SIGINT and SIGTERM; the second one waits for nothing. */
  private stop(): void {
    const { run } = this;
    this.wasStopped = true;
    if (run.isLeaving || !run.wasConnected) run.stop(run.wasConnected ? ExitStatus.success : ExitStatus.stoppedEarly);
    else run.leave(ExitStatus.success, ReasonCode.disconnectWithWill);
  }

  private timeOut(): void {
    const { run } = this;
    this.wasStopped = true;
    if (!run.wasConnected) {
      run.stop(ExitStatus.stoppedEarly);
      return;
    }
    if (run.isLeaving) return;
    run.reportError('Timed out');
    run.leave(ExitStatus.timeout, ReasonCode.disconnectWithWill);
  }

  private requestTopics(client: MqttClient): void {
    const { topics, unsubscribeTopics, qos, retainAsPublished, properties } = this.options;
    const subscriptions = topics.map((topicFilter) => ({
      topicFilter,
      qos,
      noLocal: false,
      retainAsPublished,
      retainHandling: RetainHandling.send,
    }));
    let result = client.subscribe(subscriptions, properties.subscribe);
    for (const topicFilter of unsubscribeTopics) {
      if (result > 0) result = client.unsubscribe([topicFilter], properties.unsubscribe);
    }
    if (result > 0) return;
    this.run.reportError(`Error: ${reasonText(-result)}.`);
    this.run.leave(ExitStatus.failure);
  }

  private handleSuback(packetId: number, reasonCodes: readonly number[]): void {
    const { debug, quiet, exitAfterSubscribe } = this.options;
    if (debug && !quiet) this.io.stdout.write(`Subscribed (mid: ${packetId}): ${reasonCodes.join(', ')}\n`);
    if (reasonCodes.every((code) => code >= 0x80)) {
      this.run.reportError('All subscription requests were denied.');
      this.run.leave(ExitStatus.success);
    } else if (exitAfterSubscribe) this.run.leave(ExitStatus.success);
  }

  private handleMessage(client: MqttClient, message: IncomingMessage): number {
    if (this.isDone) return ACKNOWLEDGE;
    const { options } = this;
    // Debug output shows the acknowledgement before the message, and DISCONNECT must not come before it.
    if (message.acknowledgement !== 0 && (options.debug || options.messageCount > 0)) {
      client.acknowledge(message.acknowledgement);
    }
    if (options.retainedOnly && !message.retain) {
      this.finish(client);
      return ACKNOWLEDGE;
    }
    if (options.filterOut.length > 0 && this.isFilteredOut(message.topicName)) return ACKNOWLEDGE;
    if (options.removeRetained && message.retain) {
      client.publish(new OutgoingMessage(message.topicName, new Uint8Array(0), 1, true));
    }
    if (message.retain && options.noRetained) return ACKNOWLEDGE;
    this.print(client, message);
    if (options.messageCount > 0 && ++this.printed === options.messageCount) this.finish(client);
    return ACKNOWLEDGE;
  }

  private isFilteredOut(topicName: string): boolean {
    return this.options.filterOut.some((topicFilter) => topicFilter !== '' && topicMatches(topicFilter, topicName));
  }

  private print(client: MqttClient, message: IncomingMessage): void {
    const { randomFilter } = this.options;
    if (randomFilter < 100 && Math.random() * 100 >= randomFilter) return;
    const { stdout } = this.io;
    this.printer.print(message);
    if (stdout.isBroken) {
      this.run.leave(ExitStatus.success);
      return;
    }
    if (this.isPaused || stdout.bufferedBytes < MAX_BUFFERED_BYTES) return;
    this.isPaused = true;
    client.pauseReading();
    stdout.onIdle = () => {
      stdout.onIdle = null;
      this.isPaused = false;
      client.resumeReading();
      if (stdout.isBroken) this.run.leave(ExitStatus.success);
    };
  }

  private finish(client: MqttClient): void {
    this.isDone = true;
    this.leaveWhenDone(client);
  }

  /** Retained messages are gone only when the broker has said so. */
  private leaveWhenDone(client: MqttClient): void {
    if (this.isDone && client.unfinished === 0) this.run.leave(ExitStatus.success);
  }
}
