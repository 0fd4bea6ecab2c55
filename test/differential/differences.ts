/**
 * The differences that are meant, by reason; docs/mosquitto.md explains each under the same heading. A tail is what a
 * client got from the first event on that is not the same, joined by blanks.
 */
import type { Difference } from './compare.ts';

export interface Intended {
  /** A heading in docs/mosquitto.md. */
  readonly heading: string;
  readonly tails: readonly Tails[];
}

export interface Tails {
  /** How many differences these are. */
  readonly count: number;
  /** Tested against `SEQUENCE [CLIENT]`. */
  readonly where: RegExp;
  readonly mosquitto: string;
  readonly martlet: string;
}

const tails = (count: number, where: RegExp, mosquitto: string, martlet: string): Tails => ({
  count,
  where,
  mosquitto,
  martlet,
});

const CONNACK = '200e00000b22000a27001e8480210014';
const WITHOUT_ALIASES =
  '300c0008<tag>2f310031 300c0008<tag>2f320031 300c0008<tag>2f330031 300c0008<tag>2f310032 300c0008<tag>2f320032 ' +
  '300c0008<tag>2f330032 320e0008<tag>2f3100010078 30130008<tag>2f32070101020000038478';
/** A will, user name or password that is announced and missing or malformed. */
const CONNECT_UNANSWERED =
  /^connect malformed: v5 (?:will topic |will without payload |user name with |user name flag |password flag )/;
const CONNECT_OF_21 =
  /^connect malformed: v5 (?!client identifier with |will topic |will without payload |user name with |user name flag |password flag )/;
const GONE = '300f0008<tag>2f7700676f6e65';

export const intendedDifferences: readonly Intended[] = [
  {
    heading: 'Reason codes before the close',
    tails: [
      tails(419, /^property: /, 'closed', 'e00181 closed'),
      tails(23, /^malformed: v5 (?!PINGREQ|first byte)/, 'closed', 'e00181 closed'),
      tails(13, /^property: /, 'closed', 'e00182 closed'),
      tails(7, /^malformed: v5 (?!first byte)/, 'closed', 'e00182 closed'),
      tails(5, /^publish: v5 the receiver answers with /, 'closed', 'e00182 closed'),
      tails(2, /^(?:connect: v5 a second CONNECT|subscribe: v5 identifier twice) /, 'closed', 'e00182 closed'),
      tails(150, /^property: (?:CONNECT|will) /, 'closed', '2003008100 closed'),
      tails(22, CONNECT_OF_21, 'closed', '2003008100 closed'),
      tails(17, /^(?:connect malformed: v5 |property: (?:CONNECT|will) )/, 'closed', '2003008200 closed'),
    ],
  },
  {
    heading: 'Client identifiers that are refused',
    tails: [
      tails(12, /^connect malformed: v5 client identifier with /, 'closed', '2003008100 closed'),
      tails(1, /^connect: v5 empty client identifier where it is not allowed /, '2003008000', '2003008500'),
    ],
  },
  {
    heading: 'Reason codes where Mosquitto 2.1 closes without',
    tails: [
      tails(8, /^malformed: v5 first byte (?!00)/, 'closed', 'e00181 closed'),
      tails(18, /^will: v5 after DISCONNECT with reason /, 'closed', 'e00182 closed'),
      tails(30, CONNECT_UNANSWERED, 'closed', '2003008100 closed'),
    ],
  },
  {
    heading: 'Packet type 0',
    tails: [tails(1, /^malformed: v5 first byte 00 and 5 bytes of length /, 'closed', 'e00182 closed')],
  },
  {
    heading: 'Takeover is told',
    tails: [
      tails(
        10,
        /^(?:session: v5 (?:is taken over by|that stays goes on as) v\d|will: v5 taken over)/,
        'closed',
        'e0018e closed',
      ),
    ],
  },
  {
    heading: 'Reserved flags',
    tails: [
      tails(10, /^malformed: v4 (?:PUBACK|PUBCOMP) with flags /, 'still open', 'closed'),
      tails(5, /^malformed: v4 PUBREC with flags /, '62020001 still open', 'closed'),
      tails(5, /^malformed: v4 PINGREQ with flags /, 'd000 still open', 'closed'),
      tails(10, /^malformed: v5 (?:PUBACK|PUBCOMP) with flags /, 'still open', 'e00181 closed'),
      tails(5, /^malformed: v5 PUBREC with flags /, '62020001 still open', 'e00181 closed'),
      tails(5, /^malformed: v5 PINGREQ with flags /, 'd000 still open', 'e00181 closed'),
    ],
  },
  {
    heading: 'Bytes too many',
    tails: [
      tails(4, /^malformed: v[34] (?:PUBACK|PUBCOMP) of three bytes /, 'still open', 'closed'),
      tails(2, /^malformed: v[34] PUBREC of three bytes /, '62020001 still open', 'closed'),
      tails(2, /^malformed: v[34] PUBREL of three bytes /, '70020001 still open', 'closed'),
      tails(2, /^malformed: v5 (?:PUBACK|PUBCOMP) a byte too many /, 'still open', 'e00181 closed'),
      tails(1, /^malformed: v5 PUBREC a byte too many /, '62020001 still open', 'e00181 closed'),
      tails(1, /^malformed: v5 PUBREL a byte too many /, '70020001 still open', 'e00181 closed'),
      tails(2, /^malformed: v[34] PINGREQ with a body /, 'd000 still open', 'closed'),
      tails(1, /^malformed: v5 PINGREQ with a body /, 'd000 still open', 'e00181 closed'),
    ],
  },
  {
    heading: 'Packets that a server sends',
    tails: [
      tails(8, /^malformed: v[34] (?:PINGRESP|SUBACK|UNSUBACK)/, 'still open', 'closed'),
      tails(4, /^malformed: v5 (?:PINGRESP|SUBACK|UNSUBACK)/, 'still open', 'e00182 closed'),
    ],
  },
  {
    heading: 'DUP at QoS 0',
    tails: [
      tails(2, /^publish: v[34] QoS 0 with DUP /, 'still open', 'closed'),
      tails(1, /^publish: v5 QoS 0 with DUP /, 'still open', 'e00181 closed'),
    ],
  },
  {
    heading: 'Reason codes of acknowledgements',
    tails: [
      tails(5, /^publish: v5 (?:PUBACK|PUBREC) with reason /, 'still open', 'e00182 closed'),
      tails(1, /^publish: v5 PUBREC with reason 0x1 /, '62020001 still open', 'e00182 closed'),
      tails(3, /^publish: v5 unasked PUBCOMP with reason /, 'still open', 'e00182 closed'),
      tails(3, /^publish: v5 unasked PUBREL with reason /, '70020001 still open', 'e00182 closed'),
    ],
  },
  {
    heading: 'Padded lengths',
    tails: [tails(3, /^malformed: v5 PINGREQ with a length of /, 'd000', 'e00181')],
  },
  {
    heading: 'MQTT 3.1',
    tails: [
      tails(12, /^connect malformed: v3 user name with /, '20020000 still open', 'closed'),
      tails(1, /^connect malformed: v3 will QoS 3 without will /, 'closed', '20020000 still open'),
      tails(1, /^subscribe: v3 without filters /, '90020001 still open', 'closed'),
      tails(1, /^subscribe: v3 two bytes /, '90021234 still open', 'closed'),
      tails(1, /^unsubscribe: v3 without filters /, 'b0020001 still open', 'closed'),
      tails(1, /^unsubscribe: v3 two bytes /, 'b0021234 still open', 'closed'),
    ],
  },
  {
    heading: 'Protocol Level 0x85',
    tails: [tails(1, /^connect malformed: level 133 of MQTT /, `${CONNACK} still open`, '20020001 closed')],
  },
  {
    heading: 'Properties that Mosquitto 2.0 does not check',
    tails: [
      tails(
        7,
        /^(?:publish: v5 with .* is refused|property: PUBLISH with Subscription Identifier,) /,
        '4003000110 still open',
        'e00182 closed',
      ),
      tails(
        5,
        /^(?:connect malformed: v5 (?:Authentication Data|will Payload Format|will Response Topic)|property: CONNECT with Authentication Data,) /,
        `${CONNACK} still open`,
        '2003008200 closed',
      ),
      tails(
        1,
        /^connect malformed: v5 will payload that is not the UTF-8 it claims to be /,
        `${CONNACK} still open`,
        '2003009900 closed',
      ),
    ],
  },
  {
    heading: 'Topic names that are none',
    tails: [
      tails(5, /^publish: v5 topic (?:with|of) /, 'e00182 closed', 'e00181 closed'),
      tails(1, /^will: v5 after a protocol error /, 'e00182 closed', 'e00181 closed'),
    ],
  },
  {
    heading: 'Protocol Errors in SUBSCRIBE and UNSUBSCRIBE',
    tails: [
      tails(
        7,
        /^(?:un)?subscribe: v5 (?:options|packet identifier 0|without filters|identifier 0)/,
        'e00181 closed',
        'e00182 closed',
      ),
    ],
  },
  {
    heading: 'Shared subscriptions without a name or a filter',
    tails: [
      tails(10, /^subscribe: v[34] filter '\$share/, '9003000100 still open', 'closed'),
      tails(5, /^subscribe: v5 filter '\$share/, '900400010000 still open', 'e00182 closed'),
      tails(10, /^unsubscribe: v[34] filter '\$share/, 'b0020001 still open', 'closed'),
      tails(5, /^unsubscribe: v5 filter '\$share/, 'b00400010011 still open', 'b0040001008f still open'),
    ],
  },
  {
    heading: 'No Local on a shared subscription',
    tails: [tails(1, /^subscribe: v5 no local on a shared subscription /, '900400010000 still open', 'e00182 closed')],
  },
  {
    heading: 'Retained messages of shared and No Local subscriptions',
    tails: [
      tails(2, /^retain: v[34] not for a shared subscription /, '310e0008<tag>2f746b657074', ''),
      tails(1, /^retain: v5 not for a shared subscription /, '310f0008<tag>2f74006b657074', ''),
      tails(1, /^retain: v5 No Local and one's own retained message /, '310e0008<tag>2f74006f776e', ''),
    ],
  },
  {
    heading: 'Wills after a DISCONNECT that tells an error',
    tails: [tails(30, /^will: v5 after DISCONNECT with reason /, '', GONE)],
  },
  {
    heading: 'Wills of sessions that end',
    tails: [
      tails(1, /^timer: v5 will of a session that a clean start ends within its delay /, '', GONE),
      tails(
        1,
        /^timer: v5 will of a session without expiry, with a delay /,
        `301e0008<tag>2f770068616c662061207365636f6e64206c61746572 ${GONE}`,
        `${GONE} 301e0008<tag>2f770068616c662061207365636f6e64206c61746572`,
      ),
      tails(
        3,
        /^will: v\d taken over, staying by staying \[w\]/,
        '30100008<tag>2f77007265616479',
        '300e0008<tag>2f77004c5754 30100008<tag>2f77007265616479',
      ),
    ],
  },
  {
    heading: 'CONNACK that refuses a will',
    tails: [
      tails(2, /^connect: v[34] will on a \$CONTROL topic /, '20020000', 'closed'),
      tails(1, /^connect: v5 will on a \$CONTROL topic /, CONNACK, 'closed'),
      tails(1, /^connect: v5 will above the maximum QoS /, '2005009b022401', '2003009b00'),
      tails(1, /^connect: v5 retained will without retain /, '2005009a022401', '2003009a00'),
    ],
  },
  {
    heading: 'Keep Alive and max_keepalive',
    tails: [
      tails(4, /^connect: v[34] keep alive (?:0|61) where 60 is the maximum /, '20020000', '20020002'),
      tails(
        2,
        /^connect: v5 keep alive (?:0|61) where 60 is the maximum /,
        '201100000e22000a13003c27001e8480210014',
        '201100000e13003c22000a27001e8480210014',
      ),
      tails(1, /^connect: v5 keep alive 0 /, '201100000e22000a13ffff27001e8480210014', CONNACK),
    ],
  },
  {
    heading: 'Keep Alive that runs out',
    tails: [tails(1, /^timer: v5 keep alive of 1 second runs out /, 'closed', 'e0018d closed')],
  },
  {
    heading: 'Topic aliases',
    tails: [
      tails(1, /^alias: v5 0 is refused /, 'e00181 closed', 'e00194 closed'),
      tails(
        1,
        /^alias: v5 the broker makes up to 1 /,
        WITHOUT_ALIASES,
        '300f0008<tag>2f310323000131 300c0008<tag>2f320031 300c0008<tag>2f330031 300700000323000132 300c0008<tag>2f320032 ' +
          '300c0008<tag>2f330032 3209000000010323000178 30130008<tag>2f32070101020000038478',
      ),
      tails(
        1,
        /^alias: v5 the broker makes up to 2 /,
        WITHOUT_ALIASES,
        '300f0008<tag>2f310323000131 300f0008<tag>2f320323000231 300c0008<tag>2f330031 300700000323000132 ' +
          '300700000323000232 300c0008<tag>2f330032 3209000000010323000178 300e00000a0101020000038423000278',
      ),
      tails(
        1,
        /^alias: v5 the broker makes up to 65535 /,
        WITHOUT_ALIASES,
        '300f0008<tag>2f310323000131 300f0008<tag>2f320323000231 300f0008<tag>2f330323000331 300700000323000132 ' +
          '300700000323000232 300700000323000332 3209000000010323000178 300e00000a0101020000038423000278',
      ),
    ],
  },
  {
    heading: 'QoS 2 messages sent three times',
    tails: [
      tails(2, /^publish: v[34] QoS 2 three times before PUBREL /, 'closed', '50020007 still open'),
      tails(1, /^publish: v5 QoS 2 three times before PUBREL /, 'e00182 closed', '50020007 still open'),
    ],
  },
  {
    heading: 'One identifier for QoS 1 and QoS 2',
    tails: [
      tails(2, /^publish: v[34] QoS 1 under the identifier of a QoS 2 message in use /, '', '300d0008<tag>2f7474776f'),
      tails(1, /^publish: v5 QoS 1 under the identifier of a QoS 2 message in use /, '', '300e0008<tag>2f740074776f'),
    ],
  },
  {
    heading: 'Windows',
    tails: [
      tails(2, /^in flight: v[34] 20 of 25 /, '320e0008<tag>2f7400183234 320e0008<tag>2f7400193235', ''),
      tails(1, /^in flight: v5 20 of 25 /, '320f0008<tag>2f740018003234 320f0008<tag>2f740019003235', ''),
      tails(1, /^receive maximum: v5 a 21st QoS 2 message not released /, '5003001597 still open', 'e00193 closed'),
      tails(1, /^timer: v5 message expires behind a full window /, '', '320e0008<tag>2f7400030033'),
    ],
  },
  {
    heading: 'Maximum Packet Size',
    tails: [
      tails(2, /^packet size: v[34] a PUBLISH of 41 bytes where 40 is the maximum /, '40020001 still open', 'closed'),
      tails(
        1,
        /^packet size: v5 a PUBLISH of 41 bytes where 40 is the maximum /,
        '4003000110 still open',
        'e00195 closed',
      ),
      tails(
        1,
        /^packet size: v5 QoS 0 larger than the client takes is dropped /,
        '301d0008<tag>2f7400787878787878787878787878787878787878',
        '',
      ),
    ],
  },
  {
    heading: 'Payloads above message_size_limit',
    tails: [
      tails(1, /^publish: v5 payload above the limit at QoS 1 /, '4003000295', '4003000283'),
      tails(1, /^publish: v5 payload above the limit at QoS 2 /, '5003000295 70020002', '5003000283 70020002'),
    ],
  },
];

/** Where a difference is in the list; null where it is not. */
export function findIntended({ sequence, client, mosquitto, martlet }: Difference): Tails | null {
  const name = `${sequence} [${client}]`;
  for (const { tails: list } of intendedDifferences) {
    for (const one of list) {
      if (one.mosquitto === mosquitto && one.martlet === martlet && one.where.test(name)) return one;
    }
  }
  return null;
}
