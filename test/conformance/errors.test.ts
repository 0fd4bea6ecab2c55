/** What an error costs: the connection it came on, and no other. v5 section 4.13, v3.1.1 section 4.8. */
import { expect, test } from 'bun:test';
import type { AccessControl } from '../../src/auth/access-control.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { TestBroker, utf8 } from '../support/test-broker.ts';
import { expectQuiet, payloads } from '../support/exchanges.ts';
import { answerAfterConnect, connect } from './raw-packets.ts';

/** Errors after CONNECT for which the standard names a reason code: bytes of MQTT 5 and that code. */
const errors: Readonly<Record<string, readonly [hex: string, code: string]>> = {
  'packet type 0': ['00 00', '82'],
  'Remaining Length of five bytes': ['30 ff ff ff ff 01', '81'],
  'PUBLISH with QoS 3': ['36 07 000161 0001 00 78', '81'],
  'PUBLISH with DUP at QoS 0': ['38 05 000161 00 78', '81'],
  'PUBLISH that ends in its topic': ['30 03 0005 61', '81'],
  'PUBLISH without topic and alias': ['30 04 0000 00 78', '82'],
  'PUBLISH with a wildcard': ['30 05 000123 00 78', '81'],
  'PUBLISH with Topic Alias 0': ['30 08 000161 03 23 0000 78', '94'],
  'PUBLISH with a Subscription Identifier': ['30 07 000161 02 0b 01 78', '82'],
  'PUBLISH with a property of CONNECT': ['30 0a 000161 05 11 00000001 78', '81'],
  'PUBLISH above Maximum Packet Size': ['30 ff ff ff 7f', '95'],
  'PUBACK with a reason code of CONNACK': ['40 03 0001 85', '82'],
  'PUBREC cut short': ['50 01 00', '81'],
  'PUBREL with flags 0': ['60 02 0001', '81'],
  'PUBCOMP with packet identifier 0': ['70 02 0000', '82'],
  'SUBSCRIBE without a filter': ['82 03 0001 00', '82'],
  'SUBSCRIBE with reserved options': ['82 07 0001 00 000161 40', '81'],
  'SUBSCRIBE with QoS 3': ['82 07 0001 00 000161 03', '82'],
  'SUBSCRIBE with Subscription Identifier 0': ['82 09 0001 02 0b00 000161 00', '82'],
  'UNSUBSCRIBE without a filter': ['a2 03 0001 00', '82'],
  'PINGREQ with a body': ['c0 01 00', '81'],
  'DISCONNECT with reason code 1': ['e0 01 01', '82'],
  'AUTH without a method agreed': ['f0 00', '82'],
  'CONNECT again': ['10 0e 0004 4d515454 05 02 003c 00 0002 6331', '82'],
  'CONNACK from a client': ['20 03 00 00 00', '82'],
  'SUBACK from a client': ['90 04 0001 00 00', '82'],
  'UNSUBACK from a client': ['b0 04 0001 00 00', '82'],
  'PINGRESP from a client': ['d0 00', '82'],
};

test('v5 [MQTT-4.13.1-1] answers a malformed packet or Protocol Error with its reason code, and closes', () => {
  for (const [name, [hex, code]] of Object.entries(errors)) {
    expect([name, answerAfterConnect(5, hex)]).toEqual([name, `e001${code} closed`]);
  }
});

test('v5 [MQTT-4.13.1-1] touches no other connection, counts the reason and names the client and the cause in the log', () => {
  for (const [name, [hex]] of Object.entries(errors)) {
    const t = new TestBroker();
    const other = t.connect({ clientId: 'other' });
    other.subscribe('#');
    answerAfterConnect(5, hex, t);
    expectQuiet(other);
    expect([name, [...t.broker.counters.closed.values()]]).toEqual([name, [1]]);
    expect(t.log.lines.at(-2)).toMatch(/^Protocol error from c1: .+ \((v5|v3\.1\.1) .+\)\.$/);
    expect(t.log.lines.at(-1)).toMatch(
      /^Client c1 \[192\.0\.2\.1:50000\] disconnected: (malformed packet|protocol error|topic alias invalid|oversize packet)\.$/,
    );
  }
});

test('v5 [MQTT-4.13.2-1] closes on an error whether or not it can say so', () => {
  // A client that takes 4 bytes gets no CONNACK of 5; one that takes 16 gets a DISCONNECT.
  const t = new TestBroker();
  const peer = t.open(5);
  peer.send(connect({ flags: 2, properties: '27 00000004 15 0001 78' }));
  expect([peer.isClosed, peer.raw]).toEqual([true, []]);
  const other = t.connect({ clientId: 'c2', properties: { maximumPacketSize: 16 } });
  other.send('c1 00');
  expect(other.expect(PacketType.disconnect).reasonCode).toBe(0x81);
  expect(other.isClosed).toBe(true);
});

/** The same in 3.1.1, where it has the packet at all. */
const oldErrors: Readonly<Record<string, string>> = {
  'packet type 0': '00 00',
  'packet type 15': 'f0 00',
  'Remaining Length of five bytes': '30 ff ff ff ff 01',
  'PUBLISH with QoS 3': '36 06 000161 0001 78',
  'PUBLISH with DUP at QoS 0': '38 04 000161 78',
  'PUBLISH that ends in its topic': '30 03 0005 61',
  'PUBLISH without a topic': '30 03 0000 78',
  'PUBLISH with a wildcard': '30 04 00012b 78',
  'PUBACK cut short': '40 01 00',
  'PUBACK with more than an identifier': '40 03 0001 00',
  'PUBREL with flags 0': '60 02 0001',
  'SUBSCRIBE without a filter': '82 02 0001',
  'SUBSCRIBE with reserved options': '82 06 0001 000161 04',
  'SUBSCRIBE with QoS 3': '82 06 0001 000161 03',
  'UNSUBSCRIBE without a filter': 'a2 02 0001',
  'PINGREQ with a body': 'c0 01 00',
  'DISCONNECT with a body': 'e0 01 00',
  'CONNECT again': '10 0e 0004 4d515454 04 02 003c 0002 6331',
  'CONNACK from a client': '20 02 00 00',
  'SUBACK from a client': '90 03 0001 00',
  'PINGRESP from a client': 'd0 00',
};

test('v3.1.1 [MQTT-4.8.0-1] closes the connection on which the protocol was broken, without a packet, and no other', () => {
  for (const [name, hex] of Object.entries(oldErrors)) {
    const t = new TestBroker();
    const other = t.connect({ version: 4, clientId: 'other' });
    other.subscribe('#');
    expect([name, answerAfterConnect(4, hex, t)]).toEqual([name, 'closed']);
    expectQuiet(other);
    expect([...t.broker.counters.closed.values()]).toEqual([1]);
    expect(t.log.lines.at(-1)).toContain('Client c1 [192.0.2.1:50000] disconnected: ');
  }
});

/** Its checks fail as those of an access control do whose file or server is gone. */
function failing(): { access: AccessControl; fails: { now: boolean } } {
  const fails = { now: false };
  const check = (): boolean => {
    if (fails.now) throw new Error('the file is gone');
    return true;
  };
  const access: AccessControl = {
    authenticate: () => (check() ? ReasonCode.success : ReasonCode.notAuthorized),
    topics: { canPublish: check, canSubscribe: check },
  };
  return { access, fails };
}

test('v3.1.1 [MQTT-4.8.0-2] closes the connection whose packet met a fault of the broker, and acknowledges nothing', () => {
  const rows = [
    '32 06 000161 0001 78',
    '30 04 000161 78',
    '82 06 0001 000161 01',
    connect({ level: 4, clientId: 'new' }),
  ];
  for (const [index, bytes] of rows.entries()) {
    const { access, fails } = failing();
    const t = new TestBroker({}, {}, access);
    const other = t.connect({ version: 4, clientId: 'other' });
    other.subscribe('#', 1);
    const peer = index < 3 ? t.connect({ version: 4, clientId: 'c1' }) : t.open(4);
    fails.now = true;
    peer.send(bytes);
    fails.now = false;
    peer.expectNothing();
    expect([index, peer.isClosed, other.isClosed]).toEqual([index, true, false]);
    expect(t.broker.counters.internalErrors).toBe(1);
    expect(t.log.lines.find((line) => line.startsWith('Internal error'))).toContain('the file is gone');
    other.publish('a', 'lives');
    expect(payloads(other)).toEqual(['lives']);
  }
});

test('v5 a fault of the broker is told as 0x80, in CONNACK or DISCONNECT', () => {
  const { access, fails } = failing();
  const t = new TestBroker({}, {}, access);
  const peer = t.connect({
    clientId: 'c1',
    will: { topicName: 'w', payload: utf8('x'), qos: 0, retain: false, properties: null },
  });
  const fresh = t.open(5);
  fails.now = true;
  fresh.send(connect({ clientId: 'c2' }));
  peer.send('32 07 000161 0001 00 78');
  expect(fresh.expect(PacketType.connack).reasonCode).toBe(0x80);
  expect(peer.expect(PacketType.disconnect).reasonCode).toBe(0x80);
  expect([peer.isClosed, fresh.isClosed]).toEqual([true, true]);
});
