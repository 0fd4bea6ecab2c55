// What is wrong with a configuration is told with its place, all at once, in words that say what to write instead.

import { describe, expect, test } from 'bun:test';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig, parseConfig } from '../../src/config/parse-config.ts';

function complaintsOf(source: Uint8Array | string): string[] {
  try {
    parseConfig(source, 'm.conf');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const port = 'a port from 0 to 65535, then an address, or 0 and the path of a unix socket';

describe('a line that is refused:', () => {
  test.each([
    ['listner 1883', "unknown option 'listner'; did you mean 'listener'?"],
    ['max-qos 1', "unknown option 'max-qos'; did you mean 'max_qos'?"],
    ['MAX_QOS 1', "unknown option 'MAX_QOS'; did you mean 'max_qos'?"],
    ['max_inflight_message 5', "unknown option 'max_inflight_message'; did you mean 'max_inflight_messages'?"],
    ['frobnicate 1', "unknown option 'frobnicate'"],
    ['\u001b[31m 1', "unknown option '?[31m'"],
    ['auth_opt_path /x', "auth_opt_path: needs a 'plugin' above it, which it is for"],
    ['plugin_opt_path /x', "plugin_opt_path: needs a 'plugin' above it, which it is for"],
    ['plugin_use x', "plugin_use: needs a 'plugin' above it, which it is for"],
    [
      'auth_plugin_deny_special_chars true',
      "auth_plugin_deny_special_chars: needs a 'plugin' above it, which it is for",
    ],
    ['plugin_load name', 'plugin_load: expected a name and the path of a plugin'],
    ['plugin', 'plugin needs a value: expected the path of a plugin'],
    ...[
      'mount_point x',
      'accept_protocol_versions 5',
      'listener_allow_anonymous true',
      'listener_auto_id_prefix x',
    ].map((line) => [line, `${line.split(' ')[0]}: needs a 'listener' above it, which it is for`]),
    ['include_dir /nonexistent', "include_dir: Unable to open include_dir '/nonexistent': no such file or directory"],
    ...['tls_engine x', 'tls_engine_kpass_sha1 00', 'tls_keyform engine'].map((line) => [
      line,
      `${line.split(' ')[0]}: OpenSSL's engines are not available: put the private key into a file in PEM, name it with keyfile, and leave the options of the engine out`,
    ]),
    ['socket_domain ipx', "socket_domain: got 'ipx', expected ipv4 or ipv6"],
    [' # a remark', 'a comment needs its # in the first column'],
    ['max_qos', 'max_qos needs a value: expected 0, 1 or 2'],
    ['max_qos # none', "max_qos: got '# none', expected 0, 1 or 2"],
    ['max_qos 3', "max_qos: got '3', expected 0, 1 or 2"],
    ['listener', `listener needs a value: expected ${port}`],
    ['listener 65536', `listener: got '65536', expected ${port}`],
    ['listener -1', `listener: got '-1', expected ${port}`],
    ['listener mqtt', `listener: got 'mqtt', expected ${port}`],
    ['listener 1883 /run/mqtt.sock', 'listener: a unix socket needs port 0: listener 0 /run/mqtt.sock'],
    ['port 0', "port: got '0', expected a port from 1 to 65535"],
    ['protocol mqttsn', "protocol: got 'mqttsn', expected mqtt, websockets or http_api"],
    ['allow_anonymous yes', "allow_anonymous: got 'yes', expected true or false"],
    ['allow_anonymous TRUE', "allow_anonymous: got 'TRUE', expected true or false"],
    ['max_topic_alias 65536', "max_topic_alias: got '65536', expected a whole number from 0 to 65535"],
    ['max_topic_alias_broker -1', "max_topic_alias_broker: got '-1', expected a whole number from 0 to 65535"],
    [
      'max_inflight_messages 12abc',
      "max_inflight_messages: got '12abc', expected a number of messages from 0 to 65535",
    ],
    [
      'max_inflight_messages 70000',
      "max_inflight_messages: got '70000', expected a number of messages from 0 to 65535",
    ],
    ['max_queued_messages many', "max_queued_messages: got 'many', expected a number of messages, 0 for no limit"],
    [
      'max_queued_bytes 9999999999999999',
      "max_queued_bytes: got '9999999999999999', expected a number of bytes, 0 for no limit",
    ],
    ['max_connections 1.5', "max_connections: got '1.5', expected a number of connections, -1 for no limit"],
    ['global_max_connections x', "global_max_connections: got 'x', expected a number of connections, -1 for no limit"],
    ['max_packet_size 19', "max_packet_size: got '19', expected a number of bytes from 20 to 2147483647"],
    [
      'message_size_limit 268435456',
      "message_size_limit: got '268435456', expected a number of bytes from 0 to 268435455",
    ],
    ['message_size_limit -1', "message_size_limit: got '-1', expected a number of bytes from 0 to 268435455"],
    ['max_outgoing_bytes 1', "max_outgoing_bytes: got '1', expected a number of bytes from 65536 to 2147483647"],
    ['max_keepalive 65536', "max_keepalive: got '65536', expected a number of seconds from 0 to 65535"],
    ['connect_timeout 0', "connect_timeout: got '0', expected a number of seconds from 1 to 3600"],
    ['sys_interval -1', "sys_interval: got '-1', expected a number of seconds from 0 to 65535"],
    [
      'websockets_headers_size 65536',
      "websockets_headers_size: got '65536', expected a number of bytes from 0 to 65535",
    ],
    ['websockets_path mqtt', "websockets_path: got 'mqtt', expected a path that begins with /, such as /mqtt"],
    ['enable_proxy_protocol 3', "enable_proxy_protocol: got '3', expected 1 or 2"],
    ['tls_version sslv3', "tls_version: got 'sslv3', expected tlsv1.2 or tlsv1.3"],
    ['tls_version tlsv1.1', 'tls_version: tlsv1.1 is not safe any more and not supported, expected tlsv1.2 or tlsv1.3'],
    [
      'sni_certificate a.example a.crt',
      "sni_certificate: got 'a.example a.crt', expected a server name and two files: SERVERNAME CERTFILE KEYFILE",
    ],
    ['auto_id_prefix ' + 'x'.repeat(51), 'auto_id_prefix: longer than 50 bytes'],
    ...['1', '1q', 'd', '0d', '1 d'].map((value) => [
      `persistent_client_expiration ${value}`,
      `persistent_client_expiration: got '${value}', expected a number above 0 and a unit without a blank between: ` +
        's, h, d, w, m (30 days) or y, such as 14d',
    ]),
    ['persistence maybe', "persistence: got 'maybe', expected true or false"],
    ['log_dest somewhere', "log_dest: got 'somewhere', expected stderr, stdout, syslog, topic, none or file PATH"],
    ['log_dest stdout x', "log_dest: got 'stdout x', expected stderr, stdout, syslog, topic, none or file PATH"],
    ['log_dest file', "log_dest: 'file' needs a path behind it: log_dest file PATH"],
    [
      'log_type loud',
      "log_type: got 'loud', expected error, warning, notice, information, debug, subscribe, unsubscribe, websockets, internal, all or none",
    ],
    ['http_listener', 'http_listener needs a value: expected a port from 0 to 65535, then an address'],
    ['http_listener x', "http_listener: got 'x', expected a port from 0 to 65535, then an address"],
    ['max_qos ' + '9'.repeat(100), `max_qos: got '${'9'.repeat(57)}...', expected 0, 1 or 2`],
    ['pid_file a\0b', 'contains a NUL character'],
  ] as [string, string][])('%s', (line, text) => {
    expect(complaintsOf(`# first line\n${line}\n`)).toEqual([`m.conf:2: ${text}`]);
  });

  test('bytes that are not UTF-8', () => {
    expect(complaintsOf(Buffer.from('max_qos 1\npid_file /run/\xff\xfe.pid\n', 'latin1'))).toEqual([
      'm.conf:2: not valid UTF-8',
    ]);
  });
});

describe('options that do not go together:', () => {
  test.each([
    ['certfile a', 'certfile: needs a keyfile beside it'],
    ['keyfile a', 'keyfile: needs a certfile beside it'],
    ['cafile a', 'cafile: needs certfile and keyfile: without them there is no TLS'],
    [
      'require_certificate true',
      'require_certificate: needs certfile, keyfile and a cafile or capath, or enable_proxy_protocol 2: without them clients are not asked',
    ],
    ['sni_certificate a b c', 'sni_certificate: needs certfile and keyfile, for clients that ask for no server name'],
  ])('%s alone', (line, text) => {
    expect(complaintsOf(`listener 1883\n${line}\nlistener 1884\ncertfile a\nkeyfile b\n`)).toEqual([
      `m.conf:2: ${text}`,
    ]);
  });

  test.each([
    ['require_certificate true', 'require_certificate: needs a cafile or capath, which says whose certificates count'],
    [
      'enable_proxy_protocol 2',
      'enable_proxy_protocol: cannot be used with certfile and keyfile: TLS ends at the proxy',
    ],
  ])('TLS and %s', (line, text) => {
    expect(complaintsOf(`listener 1883\n${line}\ncertfile a\nkeyfile b\n`)).toEqual([`m.conf:2: ${text}`]);
  });

  test('TLS on a unix socket', () => {
    expect(complaintsOf('listener 0 /s\ncertfile a\nkeyfile b\n')).toEqual([
      'm.conf:2: certfile: a unix socket does not speak TLS',
    ]);
  });

  test.each([
    ['pid_file a', 'pid_file b'],
    ['auto_id_prefix a', 'auto_id_prefix b'],
    ['http_listener 1', 'http_listener 2'],
  ])('%s and %s', (first, second) => {
    const name = first.split(' ')[0]!;
    expect(complaintsOf(`${first}\n\n${second}\n`)).toEqual([
      `m.conf:3: ${name} is given a second time, first in line 1`,
    ]);
  });

  test('bind_address and tls_version twice for one listener, but not for two', () => {
    expect(complaintsOf('bind_address a\nlistener 1\nbind_address b\n')).toEqual([
      'm.conf:3: bind_address is given a second time, first in line 1',
    ]);
    expect(
      complaintsOf('listener 1\ntls_version tlsv1.2\nlistener 2\ntls_version tlsv1.2\ntls_version tlsv1.3\n'),
    ).toEqual(['m.conf:5: tls_version is given a second time, first in line 4']);
  });

  test('two log files', () => {
    expect(complaintsOf('log_dest file a\nlog_dest file b\n')).toEqual([
      'm.conf:2: log_dest: a log can have only one file, and one is given above',
    ]);
  });
});

describe('several problems', () => {
  test('are told together, in the order of their lines', () => {
    expect(complaintsOf('listener 1883\ncertfile a\nmax_qos 5\nbogus_thing\n')).toEqual([
      'm.conf:2: certfile: needs a keyfile beside it',
      "m.conf:3: max_qos: got '5', expected 0, 1 or 2",
      "m.conf:4: unknown option 'bogus_thing'",
    ]);
  });

  test('of a file that is no configuration are told twenty times, then counted', () => {
    const complaints = complaintsOf('qwertyuiop\n'.repeat(1_000));
    expect(complaints).toHaveLength(21);
    expect(complaints.at(-1)).toBe('m.conf: and 980 more');
  });

  test('do not follow from one: options below a listener that is refused are for no other', () => {
    expect(complaintsOf('listener 1\ntls_version tlsv1.2\nlistener x\ntls_version tlsv1.3\n')).toEqual([
      `m.conf:3: listener: got 'x', expected ${port}`,
    ]);
  });
});

describe('a file', () => {
  test.each([
    ['that does not exist', '/nonexistent/m.conf', 'no such file or directory'],
    ['that is a folder', '/', 'illegal operation on a directory'],
  ])('%s', (_, path, cause) => {
    expect(() => loadConfig(path)).toThrow(
      new ConfigError([{ file: path, line: null, text: `Unable to open config file: ${cause}` }]),
    );
  });
});
