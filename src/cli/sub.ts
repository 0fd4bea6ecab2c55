// `martlet sub`: the command line of mosquitto_sub.
import { ACKNOWLEDGE } from '../client/client-handlers.ts';
import type { IncomingMessage } from '../client/incoming-message.ts';
import type { MqttClient } from '../client/mqtt-client.ts';
import { OutgoingMessage } from '../client/outgoing-message.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { RetainHandling } from '../protocol/subscribe.ts';
import { topicMatches } from '../protocol/topic.ts';
import { runClientCommand } from './client-command.ts';
import { type CommandIo, processIo } from './client-io.ts';
import type { ClientOptions } from './client-options.ts';
import { ExitStatus, reasonText } from './client-outcome.ts';
import { MessagePrinter } from './client-printer.ts';
import { ClientRun } from './client-run.ts';
import { ClientUsageError } from './client-usage-error.ts';
import { WatchScreen } from './client-watch.ts';

/** Messages are read no further while standard output has this much left to take. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** After a stop signal, output that its reader does not take is given up. */
const FLUSH_LIMIT_MS = 1_000;

/** @returns the exit status */
export async function runSub(args: string[], io: CommandIo = processIo()): Promise<number> {
  let wasStopped = false;
  const status = await runClientCommand('sub', args, io, async (options) => {
    if (options.retainedOnly && options.noRetained) {
      throw new ClientUsageError("\nError: Combining '-R' and '--retained-only' makes no sense.", 0);
    }
    const subscriber = new Subscriber(options, io);
    const result = await subscriber.subscribe();
    ({ wasStopped } = subscriber);
    return result;
  });
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
  /** UNSUBACKs that have not come, where nothing is subscribed to. */
  private pendingUnsubscriptions = 0;
  /** Since the last count of `--message-rate`. */
  private counted = 0;
  private readonly watch: WatchScreen | null;

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
      onUnsubscribed: (_client, _packetId, unsuback) => {
        if (unsuback !== null) this.handleUnsuback();
      },
      onMessage: (client, message) => this.handleMessage(client, message),
      onPublished: (client) => this.leaveWhenDone(client),
    });
    this.printer = new MessagePrinter(options, io.stdout, (message) => this.run.reportError(message));
    this.watch = options.watch && !options.messageRate ? new WatchScreen(io.stdout) : null;
  }

  async subscribe(): Promise<number> {
    const { run, options } = this;
    this.watch?.begin(options.hostname);
    const stopListening = this.io.onStopSignal(() => this.stop());
    const timer =
      options.timeout === 0 ? null : setTimeout(() => this.timeOut(), Math.min(options.timeout * 1_000, 2 ** 31 - 1));
    const counter = options.messageRate ? setInterval(() => this.printRate(), 1_000) : null;
    try {
      return await run.run();
    } finally {
      stopListening();
      if (timer !== null) clearTimeout(timer);
      if (counter !== null) clearInterval(counter);
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
    const retainHandling = this.retainHandling();
    const subscriptions = topics.map((topicFilter) => ({
      topicFilter,
      qos,
      noLocal: false,
      retainAsPublished,
      retainHandling,
    }));
    let result = topics.length === 0 ? 1 : client.subscribe(subscriptions, properties.subscribe);
    for (const topicFilter of unsubscribeTopics) {
      if (result > 0) result = client.unsubscribe([topicFilter], properties.unsubscribe);
    }
    this.pendingUnsubscriptions = unsubscribeTopics.length;
    if (result > 0) return;
    this.run.reportError(`Error: ${reasonText(-result)}.`);
    this.run.leave(ExitStatus.failure);
  }

  /** With `-R` the broker need not send what is not printed, unless it is to be removed. */
  private retainHandling(): RetainHandling {
    const { retainHandling, noRetained, removeRetained } = this.options;
    if (retainHandling !== null) return retainHandling;
    return noRetained && !removeRetained ? RetainHandling.never : RetainHandling.send;
  }

  private handleUnsuback(): void {
    const { topics, exitAfterSubscribe } = this.options;
    this.pendingUnsubscriptions--;
    if (exitAfterSubscribe && topics.length === 0 && this.pendingUnsubscriptions === 0) {
      this.run.leave(ExitStatus.success);
    }
  }

  private printRate(): void {
    if (!this.run.wasConnected) return;
    this.io.stdout.write(`${this.counted} msgs/s\n`);
    this.counted = 0;
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
    const { options } = this;
    if (options.messageRate) {
      this.counted++;
      return ACKNOWLEDGE;
    }
    if (this.isDone) return ACKNOWLEDGE;
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
    this.watch?.moveTo(message.topicName);
    this.printer.print(message);
    this.watch?.moveToEnd();
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
