// Debian's Mosquitto 2.0 reads the same lines: what it takes we take, and what it refuses we refuse, but for the
// differences that stand below with their reasons.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martlet-config-'));
  for (const name of ['good.d', 'bad.d', 'nested.d']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'good.d', 'a.conf'), 'max_keepalive 50\n');
  await writeFile(join(folder, 'bad.d', 'a.conf'), 'nonsense 1\n');
  await writeFile(join(folder, 'nested.d', 'a.conf'), `include_dir ${folder}/good.d\n`);
});
afterAll(() => rm(folder, { recursive: true }));

const CONFIG_REFUSED = 3;

/** An address that no machine has ends Mosquitto as soon as it has taken the configuration. */
const HEAD = 'log_dest none\nlistener 18830 192.0.2.7\n';

/** Whether Mosquitto took each configuration: they are read ahead, several at a time. */
const answers = new Map<string, boolean>();
const AT_A_TIME = 4;

async function askMosquitto(texts: readonly string[]): Promise<void> {
  const waiting = [...new Set(texts)];
  const ask = async (_: unknown, index: number) => {
    const file = join(folder, `${index}.conf`);
    for (let text = waiting.pop(); text !== undefined; text = waiting.pop()) {
      await writeFile(file, text);
      const mosquitto = Bun.spawn(['mosquitto', '-c', file], { stdout: 'ignore', stderr: 'ignore', timeout: 30_000 });
      const status = await mosquitto.exited;
      // 1: the port cannot be opened; 13: a plugin or a file of users is not there. Both come after the configuration.
      if (![1, CONFIG_REFUSED, 13].includes(status)) throw new Error(`status ${status} for ${text}`);
      answers.set(text, status !== CONFIG_REFUSED);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, ask));
}

/** That there are no bridges yet is no fault of the lines. */
function weTake(text: string): boolean {
  try {
    parseConfig(text, 'mosquitto.conf');
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.every((one) => one.text.startsWith('connection: bridges come in a later version'));
  }
}

/** FOLDER in a line is the folder of those that can be included. */
const bridge = (line: string) => `connection a\naddress 192.0.2.9\ntopic #\n${line}`;

const taken = [
  '# a comment',
  '   ',
  '\r',
  '#\r',
  '  max_qos 1  ',
  'max_qos    1',
  'max_qos 1\t',
  'max_qos 1 \t',
  'max_qos 1 # a remark',
  'max_qos 1 2',
  'max_qos 1\r\nmax_qos 1\r',
  'listener 18831 192.0.2.7 # a remark',
  'listener 18832 192.0.2.7 192.0.2.8',
  'listener 0 /nonexistent/socket',
  'max_qos 1\nmax_qos 2',
  'maximum_qos 1',
  'allow_anonymous true',
  'allow_anonymous true\r',
  'allow_anonymous true false',
  'allow_anonymous 0',
  'allow_zero_length_clientid false',
  'auto_id_prefix a b',
  `auto_id_prefix ${'x'.repeat(50)}`,
  'max_connections -1',
  'max_connections -7',
  'max_inflight_messages 0',
  'max_inflight_messages -1',
  'max_inflight_messages 65535',
  'max_queued_messages -1',
  'max_queued_bytes 0',
  'max_queued_bytes -1',
  'max_inflight_bytes 100',
  'max_inflight_bytes -1',
  'memory_limit 100000000',
  'upgrade_outgoing_qos true',
  'check_retain_source false',
  'allow_duplicate_messages false',
  'autosave_interval 60',
  'autosave_interval -1',
  'autosave_on_changes true',
  'retained_persistence false',
  'max_keepalive 10',
  'max_keepalive +10',
  'max_keepalive 010',
  'max_keepalive 65535',
  'max_packet_size 20',
  'max_packet_size 999999999',
  'message_size_limit 268435455',
  'max_topic_alias 0',
  'max_topic_alias 65535',
  'persistent_client_expiration 2m',
  'sys_interval 0',
  'sys_interval 65535',
  'sys_interval 10 s',
  'set_tcp_nodelay true',
  'queue_qos0_messages 1',
  'retain_available false',
  'persistence false',
  'protocol mqtt',
  'protocol websockets',
  'connection_messages false',
  'log_timestamp 0',
  'log_type all',
  'log_type error warning',
  'log_type error\nlog_type debug\nlog_type none',
  'log_dest stdout\nlog_dest none',
  'log_dest syslog\nlog_facility 7',
  'log_dest topic',
  'log_type websockets\nlog_type subscribe\nlog_type unsubscribe',
  'log_timestamp_format %Y-%m-%dT%H:%M:%S',
  'websockets_log_level 255',
  'use_identity_as_username true',
  'tls_version tlsv1.3',
  'ciphers A:B',
  'pid_file  /nonexistent/x  y ',
  'pid_file "x"',
  `pid_file ${'x'.repeat(3_000)}`,
  'mount_point a b',
  'mount_point /',
  'mount_point $SYS',
  'socket_domain ipv4',
  'socket_domain ipv6',
  'use_username_as_clientid true',
  'clientid_prefixes a',
  'per_listener_settings true',
  'per_listener_settings false',
  'acl_file /dev/null\nper_listener_settings false',
  'per_listener_settings true\nper_listener_settings false\nacl_file /dev/null',
  'per_listener_settings true\nport 18833\nbind_address 192.0.2.7\nacl_file /dev/null',
  'include_dir FOLDER/good.d',
  'include_dir FOLDER/good.d/',
  'port 18831\nport 18832\nbind_address 192.0.2.7',
  'retry_interval 10',
  'retry_interval',
  'allow_duplicate_messages true',
  'user mosquitto',
  'user root',
];

const refused = [
  'frobnicate 1',
  ' # not in the first column',
  'MAX_QOS 1',
  'maxqos 1',
  'max_qos=1',
  'max_qos: 1',
  '[listener]',
  'listener=1883',
  `${'x'.repeat(2_000)} 1`,
  'max_qos',
  'max_qos 3',
  'max_qos -1',
  'allow_anonymous',
  'allow_anonymous yes',
  'allow_anonymous TRUE',
  'allow_anonymous "true"',
  'listener',
  'listener 65536',
  'listener -1',
  'auto_id_prefix',
  'auto_id_prefix a\nauto_id_prefix b',
  'max_inflight_messages 65536',
  'memory_limit -1',
  'upgrade_outgoing_qos maybe',
  'check_retain_source',
  'autosave_on_changes 2',
  'max_keepalive',
  'max_keepalive 65536',
  'max_keepalive 99999999999',
  'max_packet_size 19',
  'message_size_limit 268435456',
  'message_size_limit -1',
  'max_topic_alias 65536',
  'max_topic_alias -1',
  'persistent_client_expiration 1',
  'persistent_client_expiration 1q',
  'persistent_client_expiration d',
  'persistent_client_expiration 0d',
  'sys_interval -1',
  'sys_interval 65536',
  'protocol smtp',
  'persistence maybe',
  'log_type loud',
  'log_dest nowhere',
  'log_facility 8',
  'log_facility -1',
  'log_timestamp_format',
  'log_timestamp_format %s\nlog_timestamp_format %s',
  'log_dest file',
  'log_dest file /nonexistent/a\nlog_dest file /nonexistent/b',
  'pid_file',
  'pid_file \t',
  'pid_file a\npid_file b',
  'bind_interface lo\nbind_interface lo',
  'tls_version tlsv1.2\ntls_version tlsv1.2',
  'mount_point',
  'mount_point a/#',
  'mount_point +',
  'socket_domain',
  'socket_domain ipx',
  'use_username_as_clientid maybe',
  'clientid_prefixes',
  'per_listener_settings x',
  'acl_file /dev/null\nper_listener_settings true',
  'allow_anonymous true\nper_listener_settings true',
  'include_dir',
  'include_dir FOLDER/bad.d',
  'include_dir FOLDER/good.d/a.conf',
  'include_dir /nonexistent',
  'port 0',
  'port 65536',
  'port x',
  'allow_duplicate_messages x',
  'user',
  'plugin',
  'auth_plugin',
  'plugin_opt_x y',
  'auth_opt_x y',
  'auth_plugin_deny_special_chars true',
];

const bridgesTaken = [
  'bridge_protocol_version mqttv31',
  'bridge_protocol_version mqttv50',
  'topic a out 0',
  'topic a OUT',
  'topic a both 1 l/ r/',
  'topic a both 1 "" ""',
  'topic "" both 0 a b',
  'topic # in 0',
  'topic a out 0 # a remark',
  'clientid x',
  'keepalive_interval 4',
  'idle_timeout 0',
  'threshold 0',
  'restart_timeout 0',
  'restart_timeout 5 10',
  'start_type lazy',
  'start_type once',
  'start_type automatic',
  'bridge_max_packet_size -1',
  'bridge_insecure true',
  'bridge_certfile x\nbridge_keyfile y',
  'bridge_psk 00\nbridge_identity y',
  'listener 18833 192.0.2.7\nround_robin true',
].map(bridge);

const bridgesRefused = [
  'connection',
  'connection a',
  'connection a\naddress 192.0.2.9',
  'connection a\ntopic #',
  'connection a\naddress 192.0.2.9:0\ntopic #',
  'connection a\naddress 192.0.2.9:65536\ntopic #',
  'connection a\naddress\ntopic #',
  'address 192.0.2.9',
  'topic #',
  'password x',
  'bridge_cafile x',
  ...[
    'connection a',
    'address 192.0.2.9',
    'topic',
    'topic a out 3',
    'topic a x',
    'topic a both 1 l+ r/',
    'topic "" both 0 a',
    'topic "" in',
    'clientid x\nremote_clientid y',
    'username a\nremote_username b',
    'password a\nremote_password b',
    'keepalive_interval 65536',
    'restart_timeout 10 5',
    'start_type manual',
    'start_type x',
    'round_robin x',
    'notification_topic a\nnotification_topic b',
    'bridge_protocol_version 5',
    'bridge_identity x',
    'bridge_psk 00',
    'bridge_psk 00\nbridge_cafile y',
    'bridge_cafile x\nbridge_cafile y',
    'local_clientid a\nconnection b\naddress 192.0.2.9\ntopic #\nlocal_clientid a',
  ].map(bridge),
];

/** What only Martlet takes. */
const more: readonly (readonly [why: string, lines: readonly string[]])[] = [
  ['a tab is a blank', ['\tmax_qos 1', 'max_qos\t1', 'pid_file\t/x']],
  ['a byte order mark is what editors leave', ['\ufeffmax_qos 1']],
  [
    '2.1 takes them: the last one holds',
    ['acl_file', 'password_file', 'psk_file', 'clientid_prefixes', 'mount_point', 'user'].map(
      (name) => `${name} a\n${name} b`,
    ),
  ],
  [
    '2.1 takes them',
    [
      'max_keepalive 5',
      'max_topic_alias_broker 1',
      'accept_protocol_versions 5',
      'listener_allow_anonymous true',
      'listener_auto_id_prefix x',
      bridge('topic "a b" out'),
    ],
  ],
  ['1.6 and before took it', ['store_clean_interval 5']],
  ['port 0 without a path is a free port', ['listener 0']],
  ['names are looked up when the port is opened', ['bind_address nonexistent.invalid']],
];

/** What only Mosquitto takes. */
const less: readonly (readonly [why: string, lines: readonly string[]])[] = [
  [
    'a number with something behind it is none, as in 2.1',
    ['max_keepalive 12abc', 'max_connections 1.5', 'listener 1883x 192.0.2.7', bridge('topic a out 1x')],
  ],
  [
    'what is no number is not 0, as in 2.1',
    [
      'max_qos = 1',
      'max_qos "1"',
      'max_inflight_bytes x',
      'autosave_interval x',
      ...['keepalive_interval x', 'restart_timeout x'].map(bridge),
    ],
  ],
  ['numbers are decimal: 2.0 reads 0', ['max_qos 0x1']],
  ['too long, as in 2.1', [`auto_id_prefix ${'x'.repeat(51)}`]],
  ['only the main file includes others: an error in 2.1, in 2.0 without effect', ['include_dir FOLDER/nested.d']],
  [
    'an error in 2.1: 2.0 opens a listener on port 1883 for the one, and has the other without effect',
    ['password_file', 'allow_anonymous'].map((name) => `per_listener_settings true\n${name} true`),
  ],
  ['filters that match nothing', [bridge('topic a#'), bridge('topic #/a'), bridge('topic "a')]],
  [
    'found when the bridge connects',
    ['bridge_tls_version x', 'bridge_certfile x', 'bridge_keyfile x', 'bridge_psk zz\nbridge_identity y'].map(bridge),
  ],
  ['without effect where it should have one', ['require_certificate true', 'tls_version x']],
  ['an error in 2.1', ['persistent_client_expiration', 'cafile x', 'capath /tmp', 'certfile x', 'keyfile x']],
  ['there would be nobody with a key', ['psk_hint x']],
  ['a listener for WebSocket serves no files', ['protocol websockets\nhttp_dir /tmp']],
  ['a plugin of Mosquitto cannot be loaded', ['log_type none\nplugin /nonexistent.so']],
];

/** With per_listener_settings some lines stand before any listener. */
function textOf(lines: string): string {
  const text = `${lines.replaceAll('FOLDER', folder)}\n`;
  return less.some(([, all]) => all.includes(lines)) && lines.startsWith('per_listener') ? text + HEAD : HEAD + text;
}

beforeAll(async () => {
  const all = [...taken, ...refused, ...bridgesTaken, ...bridgesRefused];
  for (const [, lines] of [...more, ...less]) all.push(...lines);
  await askMosquitto(all.map(textOf));
}, 60_000);

const both = (lines: string) => [answers.get(textOf(lines)), weTake(textOf(lines))];

test.each([...taken, ...bridgesTaken])('both take %j', (lines) => {
  expect(both(lines)).toEqual([true, true]);
});

test.each([...refused, ...bridgesRefused])('both refuse %j', (lines) => {
  expect(both(lines)).toEqual([false, false]);
});

describe('only Martlet takes', () => {
  for (const [why, all] of more) {
    test.each([...all])(`%j: ${why}`, (lines) => {
      expect(both(lines)).toEqual([false, true]);
    });
  }
});

describe('only Mosquitto takes', () => {
  for (const [why, all] of less) {
    test.each([...all])(`%j: ${why}`, (lines) => {
      expect(both(lines)).toEqual([true, false]);
    });
  }
});
