import type { ShareGroup, Subscription } from '../routing/subscription.ts';
import { Delivery } from '../session/delivery.ts';
import type { Message } from '../session/message.ts';
import type { QueueLimits } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';

/**
 * The next member of a share group, in turn: one that is connected, keeps up and has room in its window, else one that
 * is connected and has room in its queue, else one that is away but keeps its session. Those whose queue is full come
 * last of all, in the same order.
 *
 * @param except a session that must not get it
 * @param topicName the message's: a member that may not receive it is passed over
 */
export function chooseMember(
  group: ShareGroup<Session>,
  except: Session | null,
  topicName: string,
  limits: QueueLimits,
): Subscription<Session> | null {
  const { members } = group;
  const count = members.length;
  let online: Subscription<Session> | null = null;
  let away: Subscription<Session> | null = null;
  let fullOnline: Subscription<Session> | null = null;
  let fullAway: Subscription<Session> | null = null;
  let at = group.next < count ? group.next : 0;
  for (let i = 0; i < count; i++) {
    const member = members[at]!;
    at = at + 1 === count ? 0 : at + 1;
    const session = member.subscriber;
    if (session === except) continue;
    if (member.needsCheck && !session.access!.canReceive(topicName)) continue;
    const { link, outgoing, durable } = session;
    if (link === null) {
      if (away !== null) continue;
      if (session.isQueueFull(limits)) fullAway ??= member;
      else away = member;
      continue;
    }
    const isBehind =
      (link as ClientConnection).congestion !== null ||
      (durable !== null && (durable.length > 0 || durable.isResuming));
    if (!isBehind && (outgoing === null || (outgoing.queue.length === 0 && outgoing.inflight.size < link.window))) {
      group.next = at;
      return member;
    }
    if (online !== null) continue;
    if (session.isQueueFull(limits)) fullOnline ??= member;
    else online = member;
  }
  const chosen = online ?? away ?? fullOnline ?? fullAway;
  if (chosen !== null) group.next = chosen.index + 1;
  return chosen;
}

/** Gives unfinished messages of share groups to other members when a member comes or goes (v5 section 4.8.2). */
export class SharedMessages {
  private readonly broker: Broker;

  constructor(broker: Broker) {
    this.broker = broker;
  }

  /** After CONNACK and redelivery: messages that waited with nobody connected come to the one that is. */
  onAttached(session: Session): void {
    for (const subscription of session.subscriptions()) this.onPresent(subscription);
  }

  /** The same for one subscription of a client that is connected, such as a new one. */
  onPresent(subscription: Subscription<Session>): void {
    const waiting = subscription.group?.waiting ?? null;
    if (waiting === null) return;
    waiting.delete(subscription);
    if (waiting.size === 0) return;
    // Those that still find no taker put themselves back.
    const away = [...waiting];
    waiting.clear();
    for (const { subscriber } of away) if (subscriber.link === null) this.moveFrom(subscriber);
  }

  /**
   * Gives a session's messages to members that are connected and, at the end of the session, to those that are away
   * too. None goes where the queue is full.
   */
  moveFrom(session: Session, isEnd = false): void {
    const { outgoing } = session;
    if (outgoing === null || outgoing.isEmpty) return;
    const wallMs = this.broker.wallMs();
    outgoing.moveShared((delivery) => {
      if (delivery.message.isExpired(wallMs)) return false;
      if (this.handOver(delivery, session, isEnd)) return true;
      if (!isEnd) this.onKept(delivery.shared!);
      return false;
    }, this.broker);
  }

  /** A member that is away has a message of its group that nobody else could take. */
  onKept(subscription: Subscription<Session>): void {
    // One that has left the group since keeps its messages to itself.
    if (subscription.index >= 0) (subscription.group!.waiting ??= new Set()).add(subscription);
  }

  private handOver(delivery: Delivery, from: Session, isEnd: boolean): boolean {
    const { message, retain, shared } = delivery;
    const moved = this.give(message, retain, shared!.group!, from, isEnd);
    if (moved !== null) this.broker.durability?.deliveries.onMoved(delivery, moved);
    return moved !== null;
  }

  /**
   * Gives a message of a group to a member.
   *
   * @param isEnd also to one that is away
   * @returns null where none takes it
   */
  give(
    message: Message,
    retain: boolean,
    group: ShareGroup<Session>,
    except: Session | null,
    isEnd: boolean,
  ): Delivery | null {
    const { broker } = this;
    const { options, durability } = broker;
    const member = chooseMember(group, except, message.topic.name, options);
    if (member === null) return null;
    const { link } = member.subscriber;
    if (member.subscriber.isQueueFull(options)) return null;
    const granted = member.qos;
    const qos = options.upgradeOutgoingQos || granted < message.qos ? granted : message.qos;
    if (link === null && (!isEnd || qos === 0)) return null;
    broker.counters.sharedRedelivered++;
    const moved = new Delivery(message, qos, retain, member.identifier, member);
    const deliver = () => member.subscriber.deliver(moved, options, broker);
    const isTaken = durability === null ? deliver() : durability.deliveries.bound(deliver);
    if (isTaken && link === null) this.onKept(member);
    return isTaken ? moved : null;
  }
}
