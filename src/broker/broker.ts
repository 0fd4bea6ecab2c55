import { type ClientTopics, Coverage, type LoginControl } from '../auth/access-control.ts';
import { MAX_REMAINING_LENGTH, ProtocolVersion } from '../protocol/packet-type.ts';
import { PublishView } from '../protocol/publish.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { RetainedTree } from '../routing/retained-tree.ts';
import { TopicCache } from '../routing/topic-cache.ts';
import { TopicTree } from '../routing/topic-tree.ts';
import { Absence } from '../session/absence.ts';
import type { Clock } from '../session/clock.ts';
import type { Delivery } from '../session/delivery.ts';
import type { DurableState } from '../session/durable-state.ts';
import { Message } from '../session/message.ts';
import { DropReason, type SessionLink } from '../session/outgoing-flow.ts';
import { NEVER_EXPIRES, Session, type SessionObserver } from '../session/session.ts';
import { StoredMessages } from '../session/stored-messages.ts';
import { TimerWheel } from '../session/timer-wheel.ts';
import type { ByteSocket } from '../transport/byte-connection.ts';
import { OutputLoop } from '../transport/output-loop.ts';
import { ClientConnection } from './client-connection.ts';
import type { ClientLink } from './client-link.ts';
import { CongestionControl } from './congestion.ts';
import { logRefused, logTakeover } from './connection-log.ts';
import { Counters } from './counters.ts';
import type { Durability } from './durable/durability.ts';
import type { StoreLoader } from './durable/store-loader.ts';
import type { ControlEndpoint } from './handle-control.ts';
import { IncomingMessage } from './incoming.ts';
import type { ListenerInfo } from './listener-info.ts';
import { type Logger, LogType, printable } from './log.ts';
import type { BrokerOptions } from '../config/broker-options.ts';
import { MemoryUse } from './memory-use.ts';
import { PublishFrame } from './publish-frames.ts';
import { RetainedSender } from './retained-sender.ts';
import { RetainedSweeper } from './retained-sweeper.ts';
import { Router } from './router.ts';
import { SharedMessages } from './shared-messages.ts';
import { publishWill } from './wills.ts';

/** What MQTT 5 clients are told and held to where `max_packet_size` is not set: Mosquitto's default. */
const DEFAULT_MAX_PACKET_SIZE = 2_000_000;
/** From this many seconds between two ticks on, the process or the machine stood still. */
const STALL_SECONDS = 3;
/** Fixed header and the largest Remaining Length. */
const LARGEST_PACKET = MAX_REMAINING_LENGTH + 5;

/**
 * An MQTT broker without sockets: connections are handed in by `accept`, time by a clock and a tick each second. All
 * state is in this object, so that several brokers can live in one process.
 */
export class Broker implements SessionObserver {
  readonly options: BrokerOptions;
  access: LoginControl;
  readonly log: Logger;
  readonly counters = new Counters();
  readonly tree = new TopicTree<Session>();
  readonly topics = new TopicCache<Session>();
  readonly retained = new RetainedTree<Message>();
  readonly sessions = new Map<string, Session>();
  /** Network connections now, with and without CONNECT. */
  connectionCount = 0;
  /** Connections that the limit of open files leaves room for; the owner of the sockets sets it. */
  mostOpenSockets = Infinity;
  /** Messages of the sessions, and those that are retained. */
  readonly stored = new StoredMessages();
  readonly memory = new MemoryUse(this);
  readonly output = new OutputLoop(this.counters);
  readonly view = new PublishView();
  readonly incoming = new IncomingMessage();
  readonly frame = new PublishFrame(this.output);
  readonly congestionControl: CongestionControl;
  readonly retainedSender: RetainedSender;
  private readonly retainedSweeper: RetainedSweeper;
  /** Who answers requests to the broker under `$CONTROL/`; null: nobody. */
  control: ControlEndpoint | null = null;
  /** Keeps sessions in a store; null: they end with the process. */
  durability: Durability | null = null;
  /** Takes up what the store holds; null once all of it is there. */
  loader: StoreLoader | null = null;
  readonly connectionWheel: TimerWheel<ClientConnection>;
  /** Most outgoing QoS 1 and 2 messages in flight, where the client asks for no less. */
  window = 0;
  /** Their bytes from which on no further one is sent. */
  windowBytes = Infinity;
  maxPacketSizeV5 = 0;
  maxPacketSizeV3 = 0;
  /** Maximum Packet Size in CONNACK; 0: not sent. */
  advertisedMaxPacketSize = 0;
  /** The connection whose bytes are being handled, else null. */
  reading: ClientLink | null = null;
  /** Monotonic time in whole seconds, as of the last tick. */
  second: number;
  private readonly clock: Clock;
  private readonly router: Router;
  readonly sharedMessages: SharedMessages;
  private readonly absenceWheel: TimerWheel<Absence>;
  isStopping = false;
  private isCatchingUp = false;
  private readonly resuming: ClientLink[] = [];

  constructor(options: BrokerOptions, access: LoginControl, log: Logger, clock: Clock) {
    this.options = options;
    this.access = access;
    this.log = log;
    this.clock = clock;
    this.second = Math.floor(clock.monotonicMs() / 1_000);
    this.router = new Router(this);
    this.sharedMessages = new SharedMessages(this);
    this.congestionControl = new CongestionControl(this.counters, options);
    this.retainedSender = new RetainedSender(this);
    this.retainedSweeper = new RetainedSweeper(this, this.second);
    this.connectionWheel = new TimerWheel(this.second, (connection) => connection.onDeadline());
    this.absenceWheel = new TimerWheel(this.second, (absence) => this.onAbsenceDeadline(absence));
    this.deriveLimits();
  }

  /** Computes what follows from `options`, which have changed. */
  deriveLimits(): void {
    const { maxInflightMessages, maxInflightBytes, maxPacketSize } = this.options;
    this.window = maxInflightMessages === 0 ? 65_535 : maxInflightMessages;
    this.windowBytes = maxInflightBytes === 0 ? Infinity : maxInflightBytes;
    this.maxPacketSizeV5 = maxPacketSize ?? DEFAULT_MAX_PACKET_SIZE;
    this.maxPacketSizeV3 = maxPacketSize ?? LARGEST_PACKET;
    this.advertisedMaxPacketSize = this.maxPacketSizeV5 >= LARGEST_PACKET ? 0 : this.maxPacketSizeV5;
  }

  wallMs(): number {
    return this.clock.wallMs();
  }

  /** The first whole second by whose tick `seconds` have passed from now: nothing ends early. */
  secondAfter(seconds: number): number {
    return Math.ceil(this.clock.monotonicMs() / 1_000) + seconds;
  }

  /** Whether lines on clients that come and go are written: `connection_messages`. */
  get logsConnections(): boolean {
    return this.options.connectionMessages && (this.log.types & LogType.notice) !== 0;
  }

  /** The access rules of those who come by a listener. */
  accessOf(listener: ListenerInfo): LoginControl {
    return listener.access ?? this.access;
  }

  /** Takes new access rules; they hold at once, for clients that are connected and for what is queued. */
  replaceAccess(access: LoginControl): void {
    this.access = access;
    for (const session of this.sessions.values()) this.applyAccess(session);
  }

  /**
   * Gives a session the rules of its client, those of the listener it came by last, and looks at its subscriptions and
   * messages by them.
   *
   * @param isResuming its client is connected anew: perhaps another one than what was sent was for
   */
  applyAccess(session: Session, isResuming = false): void {
    const link = session.link as ClientConnection | null;
    const owner = (session.access as ClientTopics | null)?.owner;
    const topics = link !== null ? this.accessOf(link.listener).topics : (owner ?? this.access.topics);
    const rules = topics?.forClient?.(session) ?? null;
    if (rules === null && session.access === null) return;
    session.access = rules;
    if (rules !== null && rules.warning !== null && (this.log.types & LogType.warning) !== 0) {
      this.log.log(LogType.warning, rules.warning);
    }
    for (const one of session.subscriptions()) one.needsCheck = needsCheck(session, one.entry.topicFilter);
    const { outgoing } = session;
    if (rules === null || outgoing === null) return;
    const isDenied = (delivery: Delivery) => {
      if (rules.canReceive(delivery.message.topic.name)) return false;
      this.onDropped(delivery, DropReason.denied);
      return true;
    };
    if (isResuming) outgoing.removeSent(isDenied, this);
    outgoing.removeQueued(isDenied, this);
    // What was taken out may have been what the others waited for.
    if (link !== null && !isResuming && session.durable?.isResuming !== true) outgoing.pump(link, this);
  }

  /** Called about once a second: keep alive, timeouts, delayed wills, session expiry. */
  tick(): void {
    const before = this.second;
    this.second = Math.floor(this.clock.monotonicMs() / 1_000);
    // After a stall, what clients sent meanwhile is still in their sockets: it is read before one of them counts as silent.
    this.isCatchingUp = !this.isCatchingUp && this.second - before >= STALL_SECONDS;
    if (!this.isCatchingUp) this.connectionWheel.advance(this.second);
    // Wills and the ends of sessions wait until all is known that they concern.
    if (this.loader === null) this.absenceWheel.advance(this.second);
    this.retainedSweeper.tick(this.second);
  }

  /**
   * Takes a new network connection.
   *
   * @returns null where a limit refuses it; the caller closes the socket
   */
  accept(listener: ListenerInfo, socket: ByteSocket): ClientConnection | null {
    const { globalMaxConnections } = this.options;
    const isOutOfFiles = this.connectionCount >= this.mostOpenSockets;
    if (
      this.isStopping ||
      (listener.maxConnections > 0 && listener.connections >= listener.maxConnections) ||
      (globalMaxConnections > 0 && this.connectionCount >= globalMaxConnections) ||
      isOutOfFiles
    ) {
      this.counters.connectionsRefused++;
      this.counters.close(isOutOfFiles ? 'open files' : 'max connections');
      if (!this.isStopping) logRefused(this, listener, socket, isOutOfFiles);
      return null;
    }
    const connection = new ClientConnection(this, listener, socket);
    listener.connections++;
    this.connectionCount++;
    this.counters.connectionsAccepted++;
    this.connectionWheel.schedule(connection, this.secondAfter(this.options.connectTimeout));
    return connection;
  }

  onConnectionClosed(connection: ClientConnection): void {
    this.connectionCount--;
    connection.listener.connections--;
  }

  /** Bytes of one connection. What goes wrong here ends that connection and no other (v3.1.1 [MQTT-4.8.0-2]). */
  receive(connection: ClientConnection, chunk: Uint8Array): void {
    this.counters.bytesReceived += chunk.length;
    this.reading = connection;
    try {
      connection.receive(chunk);
    } catch (error) {
      this.onInternalError(connection, error);
    }
    this.reading = null;
    this.output.countInput(chunk.length);
  }

  /** A defect of ours: the log says where, and the one connection pays for it. */
  onInternalError(connection: ClientConnection, error: unknown): void {
    this.reportFault(connection.label, error);
    this.durability?.acks.abandon();
    connection.fail(ReasonCode.unspecifiedError, 'internal error');
  }

  /** @param label where: the client, or what was being done */
  reportFault(label: string, error: unknown): void {
    this.counters.internalErrors++;
    const where = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    this.log.log(LogType.error, `Internal error on ${label}: ${where.replace(/\s*\n\s*/g, ' | ')}`);
  }

  /** Lets a connection that was paused go on, in a turn of its own: not in the middle of another one's packets. */
  scheduleResume(connection: ClientLink): void {
    if (this.resuming.push(connection) > 1) return;
    setImmediate(() => {
      for (const one of this.resuming.splice(0)) {
        this.reading = one;
        try {
          one.continueReading();
        } catch (error) {
          this.onInternalError(one as ClientConnection, error);
        }
        this.reading = null;
      }
    });
  }

  /** Routes a message, and retains it where it says so (v5 section 3.3.1.3). */
  route(incoming: IncomingMessage): void {
    if (incoming.retain) {
      const { name } = incoming.topic!;
      if (incoming.payloadStart === incoming.payloadEnd) this.unretain(name);
      else this.retain(incoming.message());
    }
    this.router.route(incoming);
  }

  private retain(message: Message): void {
    if (this.durability !== null) this.durability.onRetained(message);
    this.takeUpRetained(message);
  }

  /** Retains what the store has already. */
  takeUpRetained(message: Message): void {
    const old = this.retained.set(message.topic.name, message);
    this.stored.hold(message);
    this.retainedSweeper.onRetained(message);
    if (old !== null) this.onForgotten(old);
  }

  /** Forgets what is retained for a topic. */
  unretain(topicName: string): void {
    const old = this.retained.delete(topicName);
    if (old !== null) this.onForgotten(old);
    if (this.durability !== null) this.durability.onUnretained(topicName, old !== null);
  }

  private onForgotten(message: Message): void {
    this.stored.release(message);
    this.retainedSweeper.onForgotten(message);
  }

  /** Publishes a message of the broker's own, or one that was kept. */
  publish(message: Message): void {
    // While a store is taken up it is not known yet who wants it.
    if (this.loader !== null) return this.loader.whenLoaded(() => this.publish(message));
    const incoming = new IncomingMessage();
    incoming.fromMessage(message, this.wallMs());
    this.route(incoming);
  }

  limitExpiry(expiryInterval: number): number {
    const { persistentClientExpiration: limit } = this.options;
    if (limit === 0 || expiryInterval === 0) return expiryInterval;
    return Math.min(expiryInterval, limit);
  }

  /**
   * Binds a connection to its session: takes over the client's other connection (v5 [MQTT-3.1.4-3]), and starts anew
   * or goes on as Clean Start says (v5 [MQTT-3.1.2-4], [MQTT-3.1.2-5]).
   */
  attach(
    connection: ClientConnection,
    clientId: string,
    cleanStart: boolean,
  ): { session: Session; isPresent: boolean } {
    let session = this.findSession(clientId);
    if (session !== null && session.link !== null) {
      this.counters.sessionsTakenOver++;
      logTakeover(this, clientId);
      (session.link as ClientConnection).fail(ReasonCode.sessionTakenOver, 'session taken over');
      session = this.sessions.get(clientId) ?? null;
    }
    if (session !== null && cleanStart) {
      this.endSession(session);
      session = null;
    }
    const isPresent = session !== null;
    if (session === null) {
      session = new Session(clientId, connection.protocolVersion || ProtocolVersion.v311);
      this.sessions.set(clientId, session);
    } else {
      this.endAbsence(session);
      session.will = null;
    }
    session.link = connection;
    connection.session = session;
    connection.state = 1;
    this.counters.clientsConnected++;
    this.counters.connects++;
    return { session, isPresent };
  }

  /** Null also for a session whose time is up and that only waits for the next tick (v5 section 3.1.2.11.2). */
  private findSession(clientId: string): Session | null {
    const session = this.sessions.get(clientId) ?? null;
    if (session === null || session.link !== null) return session;
    const expiresAt = session.absence === null ? -1 : session.absence.expiresAtSecond;
    // A session that was to end with its connection was restored: the process ended first.
    const isOver = session.expiryInterval === 0 || (expiresAt >= 0 && expiresAt * 1_000 <= this.clock.monotonicMs());
    if (!isOver) return session;
    this.counters.sessionsExpired++;
    this.endSession(session);
    return null;
  }

  /** The connection of a session ended: its will and its expiry take their course. */
  detach(connection: ClientConnection): void {
    const { session } = connection;
    if (session === null || session.link !== connection) return;
    session.link = null;
    this.counters.clientsConnected--;
    const { will } = session;
    if (session.expiryInterval === 0) {
      this.endSession(session);
      return;
    }
    const expiresAt = session.expiryInterval === NEVER_EXPIRES ? -1 : this.secondAfter(session.expiryInterval);
    const willAt = will !== null && will.delayInterval > 0 ? this.secondAfter(will.delayInterval) : -1;
    this.scheduleAbsence(session, expiresAt, willAt);
    if (will !== null && willAt < 0) publishWill(this, session);
    this.sharedMessages.moveFrom(session);
    this.durability?.onDetached(session);
  }

  /** Sets the deadlines of a session whose client is away: monotonic seconds, -1 for none. */
  scheduleAbsence(session: Session, expiresAt: number, willAt: number): void {
    if (expiresAt < 0 && willAt < 0) return;
    session.absence = new Absence(session, expiresAt, willAt);
    this.absenceWheel.schedule(session.absence, session.absence.dueSecond);
  }

  private endAbsence(session: Session): void {
    if (session.absence !== null) this.absenceWheel.cancel(session.absence);
    session.absence = null;
  }

  private onAbsenceDeadline(absence: Absence): void {
    const { session } = absence;
    if (session.absence !== absence) return;
    if (absence.willAtSecond >= 0 && absence.willAtSecond <= this.second) {
      absence.willAtSecond = -1;
      publishWill(this, session);
      this.durability?.onWillPublished(session);
    }
    if (absence.expiresAtSecond >= 0 && absence.expiresAtSecond <= this.second) {
      this.counters.sessionsExpired++;
      this.endSession(session);
    } else if (absence.dueSecond >= 0) this.absenceWheel.schedule(absence, absence.dueSecond);
  }

  /** Removes a session and all it holds; what it shared with others goes to them. */
  endSession(session: Session): void {
    this.endAbsence(session);
    if (this.sessions.get(session.clientId) === session) this.sessions.delete(session.clientId);
    for (const subscription of session.subscriptions()) this.tree.unsubscribe(subscription);
    session.clearSubscriptions();
    publishWill(this, session);
    this.sharedMessages.moveFrom(session, true);
    session.outgoing?.discard(this);
    session.outgoing = null;
    session.incoming?.clear();
    session.incoming = null;
    this.durability?.onEnded(session);
  }

  onDelivery(delivery: Delivery, session: Session): void {
    this.durability!.deliveries.track(delivery, session);
  }

  onOldestDropped(durable: DurableState): void {
    this.counters.drop(DropReason.queueFull);
    this.durability!.deliveries.dropOldest(durable);
  }

  onFinished(delivery: Delivery): void {
    this.durability!.deliveries.onFinished(delivery);
  }

  onReleased(delivery: Delivery, link: SessionLink): void {
    this.durability!.deliveries.onReleased(delivery, link);
  }

  onRenumbered(delivery: Delivery): void {
    this.durability!.deliveries.onRenumbered(delivery);
  }

  onDropping(session: Session): void {
    if ((this.log.types & LogType.notice) !== 0) {
      this.log.log(LogType.notice, `Outgoing messages are being dropped for client ${printable(session.clientId)}.`);
    }
    const link = session.link as ClientConnection | null;
    if (link === null || this.options.queueFull !== 'disconnect') return;
    // In a turn of its own: others get the message at hand yet.
    setImmediate(() => link.fail(ReasonCode.quotaExceeded, 'queue full'));
  }

  onDropped(delivery: Delivery, reason: DropReason): void {
    this.counters.drop(reason);
    if (delivery.storage !== null) this.onFinished(delivery);
    if ((this.log.types & LogType.debug) !== 0) {
      const { message } = delivery;
      this.log.log(
        LogType.debug,
        `Dropped message '${printable(message.topic.name)}' (${message.payload.length} bytes): ${reason}.`,
      );
    }
  }

  /** Every connection: those with a session, and those that wait for CONNECT or for their end. */
  allConnections(): ClientConnection[] {
    const found = new Set<ClientConnection>(this.connectionWheel.items());
    for (const { link } of this.sessions.values()) if (link !== null) found.add(link as ClientConnection);
    return [...found];
  }

  /** Ends every connection: 0x8B to MQTT 5 clients. Sessions stay as they are. */
  stop(): void {
    this.isStopping = true;
    for (const connection of this.allConnections()) {
      connection.fail(ReasonCode.serverShuttingDown, 'server shutting down');
    }
    this.output.flushAll();
    this.retainedSender.stop();
    this.congestionControl.stop();
  }
}

/** Whether the access rules let the session receive less than all that the filter matches. */
export function needsCheck(session: Session, topicFilter: string): boolean {
  return session.access !== null && session.access.coverage(topicFilter) !== Coverage.all;
}
