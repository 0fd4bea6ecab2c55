import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { QoS } from '../protocol/packet-type.ts';
import { TopicCache } from '../routing/topic-cache.ts';
import { TopicTree } from '../routing/topic-tree.ts';
import { Delivery, DeliveryState } from './delivery.ts';
import { Message } from './message.ts';
import { DropReason, type FlowObserver, OutgoingFlow, type SessionLink } from './outgoing-flow.ts';
import { Session } from './session.ts';
import { StoredMessages } from './stored-messages.ts';

const topic = new TopicCache<Session>().byName('t');
const tree = new TopicTree<Session>();
const NONE = new Uint8Array(0);

function delivery(name: string, qos: QoS = 1, expiresAtMs = 0, isShared = false): Delivery {
  const message = new Message(topic, new TextEncoder().encode(name), NONE, qos, false, expiresAtMs, 'p');
  const options = { qos, noLocal: false, retainAsPublished: false, identifier: 0 } as const;
  const shared = isShared ? tree.subscribe(new Session('s', 5), 't', 'g', options) : null;
  return new Delivery(message, qos, false, 0, shared);
}

const nameOf = (one: Delivery) => new TextDecoder().decode(one.message.payload);

/** Writes down what is sent; refuses names that begin with `large`. */
class Link implements SessionLink {
  window: number;
  windowBytes: number;
  readonly sent: string[] = [];
  constructor(window: number, windowBytes = Infinity) {
    this.window = window;
    this.windowBytes = windowBytes;
  }
  sendPublish(one: Delivery, dup: boolean): boolean {
    if (nameOf(one).startsWith('large')) return false;
    this.sent.push(`${dup ? 'again' : 'new'} ${nameOf(one)} ${one.packetId}`);
    return true;
  }
  sendPubrel(packetId: number): void {
    this.sent.push(`rel ${packetId}`);
  }
  take(): string[] {
    return this.sent.splice(0);
  }
}

class Observer implements FlowObserver {
  now = 1_000;
  readonly stored = new StoredMessages();
  readonly dropped: string[] = [];
  onDropped(one: Delivery, reason: DropReason): void {
    this.dropped.push(`${nameOf(one)} ${reason}`);
  }
  onFinished(): void {}
  onReleased(): void {}
  onRenumbered(): void {}
  wallMs(): number {
    return this.now;
  }
}

const unlimited = { maxQueuedMessages: 0, maxQueuedBytes: 0, queueFull: 'drop_new' } as const;

describe('OutgoingFlow', () => {
  test('sends within the window and queues behind it, in order', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(2), new Observer()];
    for (const name of ['a', 'b', 'c', 'd']) expect(flow.enqueue(delivery(name), link, unlimited, observer)).toBe(true);
    expect(link.take()).toEqual(['new a 1', 'new b 2']);
    expect([flow.queuedBytes, observer.stored.count]).toEqual([2, 4]);
    expect(flow.handlePuback(2, 0, link, observer)).toBe(true);
    expect(link.take()).toEqual(['new c 3']);
    expect(flow.handlePuback(1, 0, link, observer)).toBe(true);
    expect(flow.handlePuback(3, 0, link, observer)).toBe(true);
    expect(flow.handlePuback(4, 0, link, observer)).toBe(true);
    expect([flow.isEmpty, flow.queuedBytes, observer.dropped]).toEqual([true, 0, []]);
  });

  test('takes acknowledgements only where their message waits for them', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(5), new Observer()];
    flow.enqueue(delivery('one', 1), link, unlimited, observer);
    flow.enqueue(delivery('two', 2), link, unlimited, observer);
    expect(flow.handlePuback(2, 0, link, observer)).toBe(false);
    expect(flow.handlePuback(9, 0, link, observer)).toBe(false);
    expect(flow.handlePubrec(1, 0, link, observer)).toBe(false);
    expect(flow.handlePubcomp(1, link, observer)).toBe(false);
    expect(flow.handlePubcomp(2, link, observer)).toBe(false);
    expect(flow.inflight.size).toBe(2);
    expect(flow.handlePubrec(2, 0, link, observer)).toBe(true);
    expect(flow.handlePubcomp(2, link, observer)).toBe(true);
    expect(flow.handlePubcomp(2, link, observer)).toBe(false);
    expect(flow.handlePuback(1, 0, link, observer)).toBe(true);
    expect(flow.isEmpty).toBe(true);
  });

  test('gives the reason for what it drops: queue full, expired, too large, refused, end of the session', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(1), new Observer()];
    const limits = { ...unlimited, maxQueuedMessages: 3 };
    flow.enqueue(delivery('large 1'), link, limits, observer);
    flow.enqueue(delivery('a'), link, limits, observer);
    flow.enqueue(delivery('expires', 1, 2_000), link, limits, observer);
    flow.enqueue(delivery('large 2'), link, limits, observer);
    flow.enqueue(delivery('b', 2), link, limits, observer);
    expect(flow.enqueue(delivery('full'), link, limits, observer)).toBe(false);
    observer.now = 2_000;
    flow.handlePuback(2, 0, link, observer);
    expect(link.take()).toEqual(['new a 2', 'new b 5']);
    flow.handlePubrec(5, 0x80, link, observer);
    flow.enqueue(delivery('c'), link, limits, observer);
    flow.enqueue(delivery('d'), link, limits, observer);
    flow.discard(observer);
    expect(observer.dropped).toEqual([
      `large 1 ${DropReason.tooLarge}`,
      `full ${DropReason.queueFull}`,
      `expires ${DropReason.expired}`,
      `large 2 ${DropReason.tooLarge}`,
      `b ${DropReason.refused}`,
      `c ${DropReason.sessionEnded}`,
      `d ${DropReason.sessionEnded}`,
    ]);
    expect([flow.isEmpty, flow.queuedBytes]).toEqual([true, 0]);
    expect(observer.stored).toMatchObject({ count: 0, bytes: 0, payloadBytes: 0, references: 0 });
  });

  test('sends while fewer bytes than the window are in flight, so that the last message may exceed it', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(10, 5), new Observer()];
    for (const name of ['aaa', 'bbb', 'c', 'ddddddddd', 'e']) flow.enqueue(delivery(name), link, unlimited, observer);
    expect(link.take()).toEqual(['new aaa 1', 'new bbb 2']);
    flow.handlePuback(1, 0, link, observer);
    expect(link.take()).toEqual(['new c 3', 'new ddddddddd 4']);
    flow.handlePuback(2, 0, link, observer);
    flow.handlePuback(3, 0, link, observer);
    expect(link.take()).toEqual([]);
    flow.handlePuback(4, 0, link, observer);
    expect(link.take()).toEqual(['new e 5']);
  });

  test('after a reconnect no more bytes are sent again at a time than the window has', () => {
    const [flow, observer] = [new OutgoingFlow(), new Observer()];
    const wide = new Link(10);
    flow.enqueue(delivery('aaa', 2), wide, unlimited, observer);
    for (const name of ['bbb', 'ccc', 'ddd']) flow.enqueue(delivery(name), wide, unlimited, observer);
    flow.handlePubrec(1, 0, wide, observer);
    const link = new Link(10, 5);
    flow.resume(link, observer);
    expect(link.take().sort()).toEqual(['again bbb 2', 'rel 1']);
    flow.handlePuback(2, 0, link, observer);
    expect(link.take()).toEqual(['again ccc 3']);
    flow.handlePubcomp(1, link, observer);
    expect(link.take()).toEqual(['again ddd 4']);
  });

  test('the queue takes messages while it has fewer bytes than its limit, so that the last one may exceed it', () => {
    const [flow, observer] = [new OutgoingFlow(), new Observer()];
    const limits = { ...unlimited, maxQueuedBytes: 5 };
    const taken = ['aaa', 'b', 'cccccccc', 'd'].map((name) => flow.enqueue(delivery(name), null, limits, observer));
    expect([taken, flow.queuedBytes]).toEqual([[true, true, true, false], 12]);
  });

  // A client that stayed away longer than its messages live found a queue full of dead ones, and no fresh one.
  test('v5 [MQTT-3.3.2-5] a full queue first drops what expired in it, wherever it stands', () => {
    for (const limits of [
      { ...unlimited, maxQueuedMessages: 3 },
      { ...unlimited, maxQueuedBytes: 3 },
    ]) {
      const [flow, observer] = [new OutgoingFlow(), new Observer()];
      const enqueue = (name: string, expiresAtMs: number) =>
        flow.enqueue(delivery(name, 1, expiresAtMs), null, limits, observer);
      expect([enqueue('a', 0), enqueue('b', 3_000), enqueue('c', 2_000), enqueue('d', 9_000)]).toEqual([
        true,
        true,
        true,
        false,
      ]);
      observer.now = 2_000;
      expect([enqueue('e', 0), enqueue('f', 0)]).toEqual([true, false]);
      observer.now = 3_000;
      expect([enqueue('g', 0), enqueue('h', 0)]).toEqual([true, false]);
      expect(observer.dropped).toEqual(['d queue_full', 'c expired', 'f queue_full', 'b expired', 'h queue_full']);
      const link = new Link(9);
      flow.resume(link, observer);
      expect(link.take()).toEqual(['new a 1', 'new e 5', 'new g 7']);
      expect(flow.queuedBytes).toBe(0);
    }
  });

  test('a QoS 2 message that its PUBREC released is delivered: the end of the session is no drop', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(5), new Observer()];
    flow.enqueue(delivery('a', 2), link, unlimited, observer);
    flow.handlePubrec(1, 0, link, observer);
    flow.discard(observer);
    expect([flow.isEmpty, observer.dropped]).toEqual([true, []]);
  });

  test('a message has its identifier from when it comes, also where nobody is connected and it expires, as in Mosquitto', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(5), new Observer()];
    flow.enqueue(delivery('expires', 1, 2_000), null, unlimited, observer);
    flow.enqueue(delivery('none', 0), null, unlimited, observer);
    flow.enqueue(delivery('waits', 1), null, unlimited, observer);
    observer.now = 2_000;
    flow.resume(link, observer);
    flow.enqueue(delivery('new', 2), link, unlimited, observer);
    expect(link.take()).toEqual(['new none 0', 'new waits 2', 'new new 3']);
  });

  test('identifiers go from 1 to 65,535 and round again, over those in flight', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(65_535), new Observer()];
    flow.enqueue(delivery('held'), link, unlimited, observer);
    for (let packetId = 2; packetId <= 65_535; packetId++) {
      flow.enqueue(delivery('x'), link, unlimited, observer);
      flow.handlePuback(packetId, 0, link, observer);
    }
    link.take();
    flow.enqueue(delivery('next'), link, unlimited, observer);
    expect(link.take()).toEqual(['new next 2']);
    // The whole range at once.
    for (let i = 0; i < 65_533; i++) flow.enqueue(delivery('x'), link, unlimited, observer);
    expect(flow.inflight.size).toBe(65_535);
    flow.enqueue(delivery('waits'), link, unlimited, observer);
    expect(flow.queue.length).toBe(1);
    link.take();
    flow.handlePuback(777, 0, link, observer);
    expect(link.take()).toEqual(['new waits 777']);
  });

  test('takes out what another member of the share group may have: queued, and QoS 1 without PUBACK', () => {
    const [flow, link, observer] = [new OutgoingFlow(), new Link(4), new Observer()];
    for (const [name, qos, isShared] of [
      ['mine', 1, false],
      ['shared 1', 1, true],
      ['shared 2', 2, true],
      ['stays', 1, true],
      ['queued mine', 1, false],
      ['queued shared', 2, true],
    ] as const) {
      flow.enqueue(delivery(name, qos, 0, isShared), link, unlimited, observer);
    }
    const taken: string[] = [];
    flow.moveShared((one) => nameOf(one) !== 'stays' && taken.push(nameOf(one)) > 0, observer);
    expect(taken).toEqual(['shared 1', 'queued shared']);
    expect([...flow.inflight.values()].map(nameOf)).toEqual(['mine', 'shared 2', 'stays']);
    expect([flow.queue.length, flow.queuedBytes, observer.stored.count]).toEqual([1, 'queued mine'.length, 4]);
  });

  /** Against a model: a client that reads all, acknowledges at will and reconnects with other windows. */
  test('never exceeds a window, loses nothing, repeats only what was not finished', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ publish: fc.constantFrom<QoS>(1, 2) }) },
      { weight: 5, arbitrary: fc.record({ answer: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ reconnect: fc.integer({ min: 1, max: 5 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const [flow, observer] = [new OutgoingFlow(), new Observer()];
        let link = new Link(3);
        let published = 0;
        /** The client's view: what it holds unanswered, by packet identifier. */
        const open = new Map<number, string>();
        const firstSeen: string[] = [];
        const done = new Set<string>();
        const read = () => {
          for (const line of link.take()) {
            const [kind, ...rest] = line.split(' ');
            if (kind === 'rel') {
              open.set(Number(rest[0]), 'rel');
              continue;
            }
            const [name, id] = rest as [string, string];
            expect(done.has(name)).toBe(false);
            open.set(Number(id), name);
            if (!firstSeen.includes(name)) firstSeen.push(name);
            if (kind === 'new') expect(firstSeen.at(-1)).toBe(name);
          }
          expect(open.size).toBeLessThanOrEqual(Math.max(link.window, released()));
        };
        const released = () =>
          [...flow.inflight.values()].filter(({ state }) => state === DeliveryState.released).length;
        const answer = (packetId: number) => {
          const name = open.get(packetId)!;
          const one = flow.inflight.get(packetId)!;
          open.delete(packetId);
          if (name === 'rel') flow.handlePubcomp(packetId, link, observer);
          else if (one.qos === 1) {
            done.add(name);
            flow.handlePuback(packetId, 0, link, observer);
          } else {
            done.add(name);
            flow.handlePubrec(packetId, 0, link, observer);
          }
          read();
        };
        for (const one of steps) {
          if ('publish' in one) flow.enqueue(delivery(`${published++}`, one.publish), link, unlimited, observer);
          else if ('answer' in one) {
            const ids = [...open.keys()];
            if (ids.length > 0) answer(ids[one.answer % ids.length]!);
          } else {
            link = new Link(one.reconnect);
            open.clear();
            flow.resume(link, observer);
          }
          read();
          expect(observer.stored.references).toBe(flow.inflight.size + flow.queue.length);
        }
        while (open.size > 0) answer(open.keys().next().value!);
        expect(flow.isEmpty).toBe(true);
        expect(firstSeen).toEqual(Array.from({ length: published }, (_, i) => `${i}`));
        expect(done.size).toBe(published);
        expect(observer.dropped).toEqual([]);
        expect(observer.stored).toMatchObject({ count: 0, bytes: 0, references: 0 });
      }),
      { numRuns: 400 },
    );
  });
});
