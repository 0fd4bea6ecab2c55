// One run of `martlet pub`, `sub` or `rr`: a client from its first connection to the exit status.
import { ClientContext } from '../client/client-context.ts';
import { type ClientHandlers, type CloseCause, CloseKind, ignoreAll } from '../client/client-handlers.ts';
import { type ClientSettings, defaultClientSettings } from '../client/client-settings.ts';
import { MqttClient } from '../client/mqtt-client.ts';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { isEncodableString } from '../protocol/utf8.ts';
import { type Connector, TransportError, TransportFailure } from '../transport/client-transport.ts';
import { createConnector } from './client-endpoint.ts';
import type { CommandIo } from './client-io.ts';
import type { ClientOptions } from './client-options.ts';
import { describeClose, ExitStatus, type Outcome } from './client-outcome.ts';
import { PacketTrace } from './client-trace.ts';
import { encodeWord } from './client-words.ts';
import { ClientSetupError } from './client-setup-error.ts';

const TICK_MS = 250;
/** As Mosquitto's library: no growth, no jitter; these are commands, not a fleet. */
const RECONNECT_MS = 1_000;

/** What the command does in the run. */
export interface RunPart extends Partial<Omit<ClientHandlers, 'onClosed'>> {
  /** Whether a connection that breaks is replaced. */
  readonly reconnects: boolean;
  /** What a command makes of an end that nobody asked for, where it is not what all others make of it. */
  readonly outcome?: (cause: CloseCause, outcome: Outcome) => Outcome;
}

export class ClientRun {
  readonly options: ClientOptions;
  readonly io: CommandIo;
  /** There was a CONNACK with reason code 0. */
  wasConnected = false;
  isLeaving = false;
  private readonly part: RunPart;
  private readonly client: MqttClient;
  private readonly finished = Promise.withResolvers<number>();
  private connector: Connector | null = null;
  private leaveStatus: number = ExitStatus.success;
  private wasOpened = false;
  private isFinished = false;
  /** -1: no attempt is planned. */
  private reconnectAtMs = -1;

  /** @throws ClientSetupError */
  constructor(options: ClientOptions, io: CommandIo, part: RunPart) {
    this.options = options;
    this.io = io;
    this.part = part;
    const trace = options.debug ? new PacketTrace(io.stdout) : null;
    const handlers: ClientHandlers = {
      ...ignoreAll,
      ...part,
      onConnected: (client, connack) => {
        this.wasConnected = true;
        part.onConnected?.(client, connack);
      },
      onClosed: (_client, cause) => this.handleClosed(cause),
    };
    this.client = new MqttClient(new ClientContext(clientSettings(options), handlers, trace), clientIdOf(options, io));
  }

  /** Resolves with the exit status once all is over and its output has left. */
  async run(): Promise<number> {
    this.connector = await createConnector(this.options, this.io);
    const timer = setInterval(() => this.tick(), TICK_MS);
    this.client.open(this.connector, performance.now());
    const status = await this.finished.promise;
    clearInterval(timer);
    return status;
  }

  /** Ends the run: DISCONNECT where there is a connection, then the exit status. */
  leave(status: number, reasonCode = 0, properties: Properties | null = this.options.properties.disconnect): void {
    if (this.isLeaving || this.isFinished) return;
    this.isLeaving = true;
    this.leaveStatus = status;
    if (this.client.isConnected) this.client.disconnect(reasonCode, properties);
    else this.stop(status);
  }

  /** Ends the run without waiting for anything. */
  stop(status: number): void {
    this.finish({ messages: [], status });
    this.client.abort();
  }

  /** A runtime error, unless nobody wants to know. */
  reportError(message: string): void {
    if (!this.options.quiet) this.io.stderr.write(`${message}\n`);
  }

  private tick(): void {
    const nowMs = performance.now();
    this.client.tick(nowMs);
    if (this.reconnectAtMs < 0 || nowMs < this.reconnectAtMs || this.connector === null) return;
    this.reconnectAtMs = -1;
    this.client.open(this.connector, nowMs);
  }

  private handleClosed(cause: CloseCause): void {
    if (this.isFinished) return;
    if (this.isLeaving) {
      this.finish({ messages: [], status: this.leaveStatus });
      return;
    }
    if (cause.kind !== CloseKind.transport || isBroken(cause.error)) this.wasOpened = true;
    if (this.part.reconnects && this.wasOpened && isWorthAnotherTry(cause)) {
      this.reconnectAtMs = performance.now() + RECONNECT_MS;
      return;
    }
    const outcome = describeClose(this.options.command, cause, this.options.protocolVersion);
    this.finish(this.part.outcome?.(cause, outcome) ?? outcome);
  }

  private finish(outcome: Outcome): void {
    if (this.isFinished) return;
    this.isFinished = true;
    for (const message of outcome.messages) this.reportError(message);
    this.finished.resolve(outcome.status);
  }
}

/** An open stream ended, rather than one that could not be opened. */
function isBroken(error: Error | null): boolean {
  return !(error instanceof TransportError) || error.failure === TransportFailure.lost;
}

/** Refusals, broken rules and trust that fails would only happen again; networks and servers come back. */
function isWorthAnotherTry(cause: CloseCause): boolean {
  switch (cause.kind) {
    case CloseKind.keepAliveTimeout:
    case CloseKind.connectTimeout:
      return true;
    case CloseKind.transport: {
      const failure = cause.error instanceof TransportError ? cause.error.failure : TransportFailure.lost;
      if (failure === TransportFailure.proxy) return (cause.error as TransportError).systemCode !== 'EACCES';
      const passes: readonly TransportFailure[] = [
        TransportFailure.lost,
        TransportFailure.connect,
        TransportFailure.lookup,
      ];
      return passes.includes(failure);
    }
    case CloseKind.requested:
    case CloseKind.refused:
    case CloseKind.serverDisconnect:
    case CloseKind.protocolError:
      return false;
  }
}

function clientSettings(options: ClientOptions): ClientSettings {
  const isV5 = options.protocolVersion === ProtocolVersion.v5;
  const isText = options.username === null || isEncodableString(options.username);
  if (!isText || (options.password !== null && options.username === null && !isV5)) {
    throw new ClientSetupError('Error: Problem setting username and/or password.');
  }
  return {
    ...defaultClientSettings,
    protocolVersion: options.protocolVersion,
    cleanStart: options.cleanStart,
    keepAlive: options.keepAlive,
    username: options.username,
    password: options.password === null ? null : encodeWord(options.password),
    will:
      options.willTopic === null
        ? null
        : {
            topicName: options.willTopic,
            payload: encodeWord(options.willPayload ?? ''),
            qos: options.willQos,
            retain: options.willRetain,
            properties: options.properties.will,
          },
    properties: connectProperties(options),
    maximumInFlight: options.maximumInFlight,
    connectTimeoutMs: options.keepAlive * 1_000,
  };
}

/** Mosquitto's default: who prints more messages than that takes them all in any case. */
const USUAL_RECEIVE_MAXIMUM = 20;

/** Of a few messages that are wanted, none more is to be on its way when the last one has come. */
function connectProperties({ properties, messageCount, command, protocolVersion }: ClientOptions): Properties | null {
  const { connect } = properties;
  if (protocolVersion !== ProtocolVersion.v5) return connect;
  const count = command === 'rr' ? 1 : messageCount;
  if (count === 0 || count >= USUAL_RECEIVE_MAXIMUM || connect?.receiveMaximum !== undefined) return connect;
  return { ...connect, receiveMaximum: count };
}

const idLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** MQTT 3.1 has no empty client identifier, so one is made up, as Mosquitto's library does. */
function clientIdOf(options: ClientOptions, io: CommandIo): string {
  const given = options.clientId ?? options.clientIdPrefix;
  if (given !== null && (options.clientId === '' || !isEncodableString(given))) {
    throw invalidId(options);
  }
  if (!options.cleanStart && options.clientId === null) throw invalidId(options);
  if (options.clientId !== null) return options.clientId;
  if (options.clientIdPrefix !== null) return `${options.clientIdPrefix}${io.pid}`;
  if (options.protocolVersion !== ProtocolVersion.v31) return '';
  const random = crypto.getRandomValues(new Uint8Array(18));
  return `mosq-${Array.from(random, (byte) => idLetters[byte % idLetters.length]).join('')}`;
}

function invalidId({ command }: ClientOptions): ClientSetupError {
  return new ClientSetupError(`Error: Invalid id${command === 'pub' ? '' : ' and/or clean_session'}.`);
}
