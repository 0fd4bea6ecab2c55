// Options of bridges are read and checked as Mosquitto does it, and a `connection` is refused in so many words.

import { describe, expect, test } from 'bun:test';
import { type BridgeConfig, defaultBridgeConfig } from '../../src/config/bridge-config.ts';
import { bridgeOptions } from '../../src/config/bridge-options.ts';
import { ConfigDraft } from '../../src/config/config-draft.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { optionsByName } from '../../src/config/option-table.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { ValueError } from '../../src/config/value-kinds.ts';

const later =
  'connection: bridges come in a later version of Martlet; take this connection and the options of it out for now';

function complaintsOf(...lines: string[]): string[] {
  try {
    parseConfig(lines.join('\n'), 'm.conf');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

/** What one line makes of a bridge, or why it is refused. */
function read(line: string): { bridge: BridgeConfig; notices: string[]; problem: string | null } {
  const draft = new ConfigDraft();
  draft.addBridge('b');
  const [name] = line.split(' ');
  let problem: string | null = null;
  try {
    optionsByName.get(name!)!.set(draft, line.slice(name!.length + 1), name!);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    problem = error.message;
  }
  return { bridge: draft.bridges[0]!, notices: draft.notices, problem };
}

const cases: readonly (readonly [line: string, changed: Partial<BridgeConfig>])[] = [
  ['address broker.example', { addresses: [{ host: 'broker.example', port: 1883 }] }],
  [
    'addresses a:1 b:65535 # c',
    {
      addresses: [
        { host: 'a', port: 1 },
        { host: 'b', port: 65_535 },
      ],
    },
  ],
  ['address ::1:1884', { addresses: [{ host: '::1', port: 1_884 }] }],
  ['address [::1]:1884', { addresses: [{ host: '::1', port: 1_884 }] }],
  ['round_robin true', { roundRobin: true }],
  ['bridge_protocol_version mqttv31', { protocolVersion: 3 }],
  ['bridge_protocol_version mqttv50', { protocolVersion: 5 }],
  ['try_private false', { tryPrivate: false }],
  ['remote_clientid my id', { remoteClientid: 'my id' }],
  ['clientid my id', { remoteClientid: 'my id' }],
  ['remote_username u', { remoteUsername: 'u' }],
  ['username u', { remoteUsername: 'u' }],
  ['remote_password p # p', { remotePassword: 'p # p' }],
  ['password p', { remotePassword: 'p' }],
  ['local_clientid l', { localClientid: 'l' }],
  ['local_username u', { localUsername: 'u' }],
  ['local_password p', { localPassword: 'p' }],
  ['start_type lazy', { startType: 'lazy' }],
  ['start_type once', { startType: 'once' }],
  ['restart_timeout 10', { restartTimeout: { base: 10, cap: 10, stable: 0 } }],
  ['restart_timeout 0', { restartTimeout: { base: 1, cap: 1, stable: 0 } }],
  ['restart_timeout 5 9000', { restartTimeout: { base: 5, cap: 7_200, stable: 0 } }],
  ['restart_timeout 5 30 60', { restartTimeout: { base: 5, cap: 30, stable: 60 } }],
  ['idle_timeout 7', { idleTimeout: 7 }],
  ['threshold 3', { threshold: 3 }],
  ['keepalive_interval 65535', { keepaliveInterval: 65_535 }],
  ['cleansession true', { cleanSession: true }],
  ['local_cleansession true', { localCleanSession: true }],
  ['notifications false', { notifications: false }],
  ['notifications_local_only true', { notificationsLocalOnly: true }],
  ['notification_topic a/b', { notificationTopic: 'a/b' }],
  ['bridge_attempt_unsubscribe false', { attemptUnsubscribe: false }],
  ['bridge_outgoing_retain false', { outgoingRetain: false }],
  ['bridge_max_packet_size 1000', { maxPacketSize: 1_000 }],
  ['bridge_max_packet_size -5', { maxPacketSize: 0 }],
  ['bridge_max_topic_alias 0', { maxTopicAlias: 0 }],
  ['bridge_receive_maximum 1', { receiveMaximum: 1 }],
  ['bridge_session_expiry_interval 3600', { sessionExpiryInterval: 3_600 }],
  ['bridge_reload_type immediate', { reloadType: 'immediate' }],
  ['bridge_bind_address 127.0.0.1', { bindAddress: '127.0.0.1' }],
  ['bridge_tcp_keepalive 1 2 3', { tcpKeepalive: { idle: 1, interval: 2, count: 3 } }],
  ['bridge_tcp_user_timeout 0', { tcpUserTimeoutMs: 0 }],
  ['bridge_cafile /a b', { cafile: '/a b' }],
  ['bridge_capath /a', { capath: '/a' }],
  ['bridge_tls_use_os_certs true', { useOsCerts: true }],
  ['bridge_certfile c', { certfile: 'c' }],
  ['bridge_keyfile k', { keyfile: 'k' }],
  ['bridge_ciphers A:B', { ciphers: 'A:B' }],
  ['bridge_ciphers_tls1.3 A:B', { ciphersTls13: 'A:B' }],
  ['bridge_tls_version tlsv1.3', { tlsVersion: 'tlsv1.3' }],
  ['bridge_alpn mqtt', { alpn: 'mqtt' }],
  ['bridge_insecure true', { isInsecure: true }],
  ['bridge_require_ocsp true', { requireOcsp: true }],
  ['bridge_identity i', { pskIdentity: 'i' }],
  ['bridge_psk 00fF', { psk: '00fF' }],
];

describe('an option of a bridge is read:', () => {
  test.each(cases)('%s', (line, changed) => {
    const { bridge, problem } = read(line);
    expect(problem).toBeNull();
    expect(bridge).toEqual({ ...defaultBridgeConfig('b'), ...changed });
  });

  test('every one of them is above or below', () => {
    const named = new Set([...cases.map(([line]) => line.split(' ')[0]), 'connection', 'topic']);
    const all = bridgeOptions.flatMap(({ name, aliases }) => [name, ...aliases]);
    expect(all.filter((name) => !named.has(name))).toEqual([]);
  });
});

describe('a topic of a bridge is read:', () => {
  const plain = { pattern: '#', direction: 'out', qos: 0, localPrefix: '', remotePrefix: '' };
  test.each([
    ['#', {}],
    ['# in', { direction: 'in' }],
    ['# BOTH 2', { direction: 'both', qos: 2 }],
    ['a/# out 1 local/ remote/', { pattern: 'a/#', qos: 1, localPrefix: 'local/', remotePrefix: 'remote/' }],
    ['a both 0 "" remote/', { pattern: 'a', direction: 'both', remotePrefix: 'remote/' }],
    ['"a b/+" in 1 l/', { pattern: 'a b/+', direction: 'in', qos: 1, localPrefix: 'l/' }],
    ['"" out 0 here there', { pattern: '', localPrefix: 'here', remotePrefix: 'there' }],
    ['a out 1 # a remark', { pattern: 'a', qos: 1 }],
  ])('%s', (value, changed) => {
    const { bridge, problem } = read(`topic ${value}`);
    expect(problem).toBeNull();
    expect(bridge.topics).toEqual([{ ...plain, ...changed } as (typeof bridge.topics)[number]]);
  });

  test.each([
    ['a sideways', 'the direction must be out, in or both'],
    ['a # a remark', 'the direction must be out, in or both'],
    ['a out 3', 'the QoS must be 0, 1 or 2'],
    ['a out 0 l+/', 'a prefix must have no + and no # in it'],
    ['a out 0 l/ #/', null],
    ['"" out 0 here', 'without a pattern it needs both prefixes, which are the topics then'],
    ['"a b', 'the quote is not closed'],
    ['a#', '+ and # must each fill a level of the topic, and # be the last'],
    ['#/a', '+ and # must each fill a level of the topic, and # be the last'],
    ['# out 0 l', '+ and # must each fill a level of the topic, and # be the last'],
  ])('%s, or it is refused', (value, problem) => {
    expect(read(`topic ${value}`).problem).toBe(problem);
  });
});

test.each([
  ['idle_timeout 0', { idleTimeout: 1 }, 'idle_timeout interval too low, using 1 second.'],
  ['threshold -1', { threshold: 1 }, 'threshold too low, using 1 message.'],
  ['keepalive_interval 4', { keepaliveInterval: 5 }, 'keepalive interval too low, using 5 seconds.'],
  ['bridge_insecure true', { isInsecure: true }, "Warning: Bridge 'b' using insecure mode."],
])("%s is taken with Mosquitto's remark", (line, changed, notice) => {
  const { bridge, notices } = read(line);
  expect(bridge).toMatchObject(changed);
  expect(notices).toEqual([notice]);
});

describe('a value that is none:', () => {
  test.each([
    [
      'address a:0',
      "address: got 'a:0', expected one or more host names or addresses, each with :PORT where it is not 1883",
    ],
    ['start_type manual', 'start_type: manual is not supported, expected automatic, lazy or once'],
    ['restart_timeout 10 5', 'restart_timeout: the most seconds are fewer than the least'],
    ['restart_timeout 10 20 -1', 'restart_timeout: the seconds of a stable connection cannot be negative'],
    ['keepalive_interval 65536', "keepalive_interval: got '65536', expected a number of seconds from 5 to 65535"],
    ['bridge_receive_maximum 0', "bridge_receive_maximum: got '0', expected a number of messages from 1 to 65535"],
    ['bridge_tcp_keepalive 1 2', /^bridge_tcp_keepalive: got '1 2', expected three numbers above 0/],
    ['bridge_tcp_keepalive 1 0 2', /^bridge_tcp_keepalive: got '1 0 2'/],
    ['bridge_protocol_version 5', "bridge_protocol_version: got '5', expected mqttv31, mqttv311 or mqttv50"],
  ])('%s', (line, text) => {
    const [problem] = complaintsOf(line, 'connection a', line, 'address x', 'topic #').filter((one) =>
      one.startsWith('m.conf:3: '),
    );
    expect(problem?.slice('m.conf:3: '.length)).toMatch(text);
  });
});

describe('a connection', () => {
  const whole = ['connection a', 'address x', 'topic #'];

  test('is refused for now, with its line', () => {
    expect(complaintsOf('listener 1883', ...whole)).toEqual([`m.conf:2: ${later}`]);
  });

  test.each([
    ['an address', ['connection a', 'topic #'], 'm.conf:1: connection: needs an address, of the other broker'],
    ['a topic', ['connection a', 'address x'], 'm.conf:1: connection: needs a topic, which goes over the bridge'],
    [
      'an identity with its key',
      [...whole, 'bridge_psk 00'],
      'm.conf:4: bridge_psk: needs a bridge_identity beside it',
    ],
    [
      'a key with its identity',
      [...whole, 'bridge_identity i'],
      'm.conf:4: bridge_identity: needs a bridge_psk beside it',
    ],
    ['a keyfile', [...whole, 'bridge_certfile c'], 'm.conf:4: bridge_certfile: needs a bridge_keyfile beside it'],
    ['a certfile', [...whole, 'bridge_keyfile k'], 'm.conf:4: bridge_keyfile: needs a bridge_certfile beside it'],
    [
      'one kind of TLS',
      [...whole, 'bridge_psk 00', 'bridge_identity i', 'bridge_cafile c'],
      'm.conf:5: bridge_identity: a bridge has certificates or a pre-shared key, not both',
    ],
    ['a name of its own', [...whole, ...whole], "m.conf:4: connection: there is a connection 'a' above"],
    ['one address', [...whole, 'address y'], 'm.conf:4: address is given a second time, first in line 2'],
    [
      'an identifier of its own',
      [...whole, 'clientid i', 'connection b', 'address x', 'topic #', 'local_clientid local.i'],
      "m.conf:8: local_clientid: the connection 'a' has the same identifier here",
    ],
  ])('needs %s', (_, lines, problem) => {
    expect(complaintsOf(...lines)).toContain(problem);
  });

  // It was told that an address and a topic are missing, right above the lines where they are wrong.
  test('with an address and a topic that are wrong is not told that it has none', () => {
    expect(complaintsOf('connection a', 'address x:99999', 'topic # sideways')).toEqual([
      `m.conf:1: ${later}`,
      expect.stringMatching(/^m\.conf:2: address: got 'x:99999', /),
      expect.stringMatching(/^m\.conf:3: topic: the direction /),
    ]);
  });

  test('stands above its options, also where a listener comes between', () => {
    expect(complaintsOf('round_robin true')).toEqual([
      "m.conf:1: round_robin: needs a 'connection' above it, whose bridge it is for",
    ]);
    expect(complaintsOf('connection a', 'address x', 'listener 1883', 'topic #')).toEqual([`m.conf:1: ${later}`]);
  });

  test('keeps its secrets out of messages, whatever is wrong with them', () => {
    const secret = 'hunter2';
    const lines = [
      ...['remote_password', 'password', 'local_password', 'bridge_psk'].flatMap((name) => [
        `${name} ${secret}`,
        `${name} ${secret} ${secret} # ${secret}`,
        `${name}\t${secret}`,
      ]),
      `passwrod ${secret}`,
    ];
    const complaints = complaintsOf(...lines, ...whole, ...lines).join('\n');
    expect(complaints).toContain('bridge_psk: expected a key in hexadecimal digits, and nothing else');
    expect(complaints).not.toContain(secret);
  });
});
