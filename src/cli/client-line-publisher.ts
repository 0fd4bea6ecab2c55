// Hot path of `martlet pub -l`: each line of standard input is a message.
import type { MqttClient } from '../client/mqtt-client.ts';
import { OutgoingMessage } from '../client/outgoing-message.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { CommandIo } from './client-io.ts';
import type { ClientOptions } from './client-options.ts';
import { describePublishFailure, describePublishRefusal, ExitStatus } from './client-outcome.ts';
import { ClientRun } from './client-run.ts';

/** Reading stops above these and goes on below. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
const MAX_UNFINISHED = 2_000;
const LINE_FEED = 10;

/**
 * Publishes lines until the input ends and all are acknowledged. A connection that breaks is replaced; meanwhile nothing
 * is read.
 */
export class LinePublisher {
  private readonly options: ClientOptions;
  private readonly io: CommandIo;
  private readonly run: ClientRun;
  private client: MqttClient | null = null;
  private cancelReading: (() => Promise<void>) | null = null;
  private hasEnded = false;
  /** Lets reading go on. */
  private wake: (() => void) | null = null;

  /** @throws ClientSetupError */
  constructor(options: ClientOptions, io: CommandIo) {
    this.options = options;
    this.io = io;
    this.run = new ClientRun(options, io, {
      reconnects: true,
      onConnected: (client) => {
        const isFirst = this.client === null;
        this.client = client;
        if (isFirst) this.readLines().catch((error: unknown) => this.giveUp(error));
        this.proceed();
      },
      onPublished: (_client, message, reasonCode, properties) => {
        if (reasonCode >= 0x80) this.run.reportError(describePublishFailure(message.packetId, reasonCode, properties));
        this.proceed();
      },
      onDrain: () => this.proceed(),
    });
  }

  /** @returns the exit status */
  async publish(): Promise<number> {
    const status = await this.run.run();
    // A terminal or pipe may never end; nobody waits for it any more.
    await this.cancelReading?.();
    return status;
  }

  /** Standard input can't be read any further. */
  private giveUp(error: unknown): void {
    this.run.reportError(`Error: ${error instanceof Error ? error.message : String(error)}`);
    this.run.leave(ExitStatus.failure);
  }

  private proceed(): void {
    if (this.hasEnded) this.leaveWhenDone();
    const { wake } = this;
    if (wake === null || !this.canTake) return;
    this.wake = null;
    wake();
  }

  private get canTake(): boolean {
    const { client } = this;
    if (client === null || client.unfinished >= MAX_UNFINISHED) return false;
    return client.isConnected && client.bufferedAmount < MAX_BUFFERED_BYTES;
  }

  private leaveWhenDone(): void {
    if (this.client?.isConnected === true && this.client.unfinished === 0) this.run.leave(ExitStatus.success);
  }

  private async readLines(): Promise<void> {
    let beginning: Uint8Array[] = [];
    const reader = this.io.stdin().getReader();
    this.cancelReading = () => reader.cancel();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const chunk = read.value;
      let start = 0;
      for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
        beginning.push(chunk.subarray(start, end));
        start = end + 1;
        const line = joined(beginning);
        beginning = [];
        if (!this.canTake) await new Promise<void>((resolve) => (this.wake = resolve));
        if (!this.publishLine(line)) return;
      }
      if (start < chunk.length) beginning.push(chunk.slice(start));
    }
    if (beginning.length > 0) {
      if (!this.canTake) await new Promise<void>((resolve) => (this.wake = resolve));
      if (!this.publishLine(joined(beginning))) return;
    }
    this.hasEnded = true;
    this.leaveWhenDone();
  }

  /** False where the run is over. */
  private publishLine(payload: Uint8Array): boolean {
    if (this.run.isLeaving || this.client === null) return false;
    const { topics, qos, retain, properties } = this.options;
    const refusal = this.client.publish(new OutgoingMessage(topics[0]!, payload, qos, retain, properties.publish));
    if (refusal === ReasonCode.success) return true;
    const { message, status } = describePublishRefusal(refusal);
    this.run.reportError(message);
    this.run.leave(status);
    return false;
  }
}

/** In memory of its own: a line must not keep the whole chunk it came in. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!.slice();
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
