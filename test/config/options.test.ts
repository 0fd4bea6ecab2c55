// Each option takes effect in the configuration that comes of it.

import { describe, expect, test } from 'bun:test';
import { type Config, defaultConfig, defaultListenerConfig, defaultSecurityConfig } from '../../src/config/config.ts';
import { bridgeOptions } from '../../src/config/bridge-options.ts';
import { deprecatedOptions } from '../../src/config/deprecated-options.ts';
import { pluginOptions } from '../../src/config/plugin-options.ts';
import { optionsByName } from '../../src/config/option-table.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

function parse(...lines: string[]): Config {
  return parseConfig(lines.join('\n'), 'test.conf').config;
}

type Case = readonly [line: string, read: (config: Config) => unknown, expected: unknown];

const listener = (config: Config) => config.listeners[0]!;
const security = defaultSecurityConfig();

/** The lines stand below `listener 1884`. */
const cases: readonly Case[] = [
  [
    'listener 1885 192.0.2.1',
    ({ listeners: [, one] }) => [one!.port, one!.host, one!.unixPath],
    [1885, '192.0.2.1', null],
  ],
  ['listener 1885', ({ listeners: [, one] }) => [one!.port, one!.host, one!.unixPath], [1885, null, null]],
  ['listener 0', ({ listeners: [, one] }) => [one!.port, one!.host, one!.unixPath], [0, null, null]],
  ['listener 0 ::1', ({ listeners: [, one] }) => [one!.port, one!.host, one!.unixPath], [0, '::1', null]],
  ['listener 0 localhost', ({ listeners: [, one] }) => [one!.port, one!.host], [0, 'localhost']],
  [
    'listener 0 /run/mqtt.sock',
    ({ listeners: [, one] }) => [one!.port, one!.host, one!.unixPath],
    [0, null, '/run/mqtt.sock'],
  ],
  ['listener 0 mqtt.sock', ({ listeners: [, one] }) => [one!.port, one!.host, one!.unixPath], [0, null, 'mqtt.sock']],
  ['port 1886', ({ listeners: [, one] }) => [one!.port, one!.host], [1886, null]],
  ['bind_address 127.0.0.1', ({ listeners: [, one] }) => [one!.port, one!.host], [1883, '127.0.0.1']],
  ['protocol websockets', (config) => listener(config).protocol, 'websockets'],
  ['protocol mqtt', (config) => listener(config).protocol, 'mqtt'],
  ['max_connections 7', (config) => listener(config).maxConnections, 7],
  ['max_connections 0', (config) => listener(config).maxConnections, 0],
  ['max_connections -5', (config) => listener(config).maxConnections, -1],
  ['max_qos 1', (config) => listener(config).maxQos, 1],
  ['maximum_qos 0', (config) => listener(config).maxQos, 0],
  ['max_topic_alias 65535', (config) => listener(config).maxTopicAlias, 65_535],
  ['max_topic_alias 0', (config) => listener(config).maxTopicAlias, 0],
  ['enable_proxy_protocol 1', (config) => listener(config).proxyProtocol, 1],
  ['enable_proxy_protocol 2', (config) => listener(config).proxyProtocol, 2],
  ['psk_hint hint\npsk_file /etc/psk', (config) => listener(config).pskHint, 'hint'],
  ['set_tcp_nodelay false', (config) => listener(config).setTcpNodelay, false],
  ['websockets_path /mqtt', (config) => listener(config).websocketsPath, '/mqtt'],
  ['websockets_origin https://a.example', (config) => listener(config).websocketsOrigins, ['https://a.example']],
  ['websockets_headers_size 4096', (config) => listener(config).websocketsHeadersSize, 4_096],
  ['websockets_headers_size 0', (config) => listener(config).websocketsHeadersSize, 8_192],
  ['password_file /etc/users', (config) => config.security.passwordFile, '/etc/users'],
  ['psk_file /etc/psk', (config) => config.security.pskFile, '/etc/psk'],
  ['acl_file /etc/rules', (config) => config.security.aclFile, '/etc/rules'],
  ['allow_anonymous true', (config) => config.security.allowAnonymous, true],
  ['allow_anonymous false', (config) => config.security.allowAnonymous, false],
  ['allow_anonymous 1', (config) => config.security.allowAnonymous, true],
  ['allow_anonymous 0', (config) => config.security.allowAnonymous, false],
  ['allow_zero_length_clientid false', (config) => config.security.allowZeroLengthClientid, false],
  ['auto_id_prefix my id-', (config) => config.security.autoIdPrefix, 'my id-'],
  ['global_max_connections 100', (config) => config.broker.globalMaxConnections, 100],
  ['global_max_connections -1', (config) => config.broker.globalMaxConnections, -1],
  ['connect_timeout 5', (config) => config.broker.connectTimeout, 5],
  ['max_keepalive 60', (config) => config.broker.maxKeepalive, 60],
  ['max_keepalive 0', (config) => config.broker.maxKeepalive, 65_535],
  ['max_packet_size 20', (config) => config.broker.maxPacketSize, 20],
  ['max_packet_size 268435460', (config) => config.broker.maxPacketSize, 268_435_460],
  ['message_size_limit 1000', (config) => config.broker.messageSizeLimit, 1_000],
  ['max_inflight_messages 1', (config) => config.broker.maxInflightMessages, 1],
  ['max_inflight_messages 65535', (config) => config.broker.maxInflightMessages, 0],
  ['max_inflight_messages -1', (config) => config.broker.maxInflightMessages, 0],
  ['max_inflight_bytes 1000', (config) => config.broker.maxInflightBytes, 1_000],
  ['max_inflight_bytes -1', (config) => config.broker.maxInflightBytes, 0],
  ['global_max_clients 100', (config) => config.broker.globalMaxClients, 100],
  ['global_max_clients -7', (config) => config.broker.globalMaxClients, -1],
  ['memory_limit 50000000000', (config) => config.broker.memoryLimit, 50_000_000_000],
  ['memory_limit 0', (config) => config.broker.memoryLimit, 0],
  ['max_queued_messages 5', (config) => config.broker.maxQueuedMessages, 5],
  ['max_queued_messages -1', (config) => config.broker.maxQueuedMessages, 0],
  ['max_queued_bytes 123456789012', (config) => config.broker.maxQueuedBytes, 123_456_789_012],
  ['max_outgoing_bytes 65536', (config) => config.broker.maxOutgoingBytes, 65_536],
  ['max_topic_alias_broker 3', (config) => config.broker.maxTopicAliasBroker, 3],
  ['retain_available false', (config) => config.broker.retainAvailable, false],
  ['retain_expiry_interval 5', (config) => config.broker.retainExpiryInterval, 300],
  ['retain_expiry_interval 10000001', (config) => config.broker.retainExpiryInterval, 600_000_000],
  ['check_retain_source false', (config) => config.broker.checkRetainSource, false],
  ['upgrade_outgoing_qos true', (config) => config.broker.upgradeOutgoingQos, true],
  ['allow_duplicate_messages true', (config) => config.broker.allowDuplicateMessages, true],
  ['packet_buffer_size 5000', (config) => listener(config).websocketsHeadersSize, 5_000],
  ['retained_persistence true', (config) => config.persistence.isOn, true],
  ['autosave_interval 300', (config) => config, parse('listener 1884')],
  ['autosave_interval -1', (config) => config, parse('listener 1884')],
  ['autosave_on_changes true', (config) => config, parse('listener 1884')],
  ['queue_qos0_messages true', (config) => config.broker.queueQos0Messages, true],
  ['persistent_client_expiration 30s', (config) => config.broker.persistentClientExpiration, 30],
  ['persistent_client_expiration 2h', (config) => config.broker.persistentClientExpiration, 7_200],
  ['persistent_client_expiration 14d', (config) => config.broker.persistentClientExpiration, 1_209_600],
  ['persistent_client_expiration 1w', (config) => config.broker.persistentClientExpiration, 604_800],
  ['persistent_client_expiration 2m', (config) => config.broker.persistentClientExpiration, 5_184_000],
  ['persistent_client_expiration 1y', (config) => config.broker.persistentClientExpiration, 31_536_000],
  ['persistence true', (config) => config.persistence.isOn, true],
  ['persistence_location /var/lib/martlet/', (config) => config.persistence.location, '/var/lib/martlet/'],
  ['persistence_file my.db', (config) => config.persistence.file, 'my.db'],
  ['persistence_sync full', (config) => config.persistence.sync, 'full'],
  ['queue_full drop_oldest', (config) => config.broker.queueFull, 'drop_oldest'],
  ['enable_control_api true', (config) => config.broker.enableControlApi, true],
  ['protocol http_api\nhttp_dir /srv/www', (config) => listener(config).httpDir, '/srv/www'],
  [
    'enable_proxy_protocol 2\nproxy_protocol_v2_require_tls true',
    (config) => listener(config).proxyProtocolV2RequireTls,
    true,
  ],
  ['psk_hint x\npsk_file k\ndhparamfile d.pem', (config) => listener(config).dhparamfile, 'd.pem'],
  ['persistence false', (config) => config, parse('listener 1884')],
  ['reason_strings true', (config) => config.broker.reasonStrings, true],
  ['response_topic_prefix answers/', (config) => config.broker.responseTopicPrefix, 'answers/'],
  ['log_dest stdout', (config) => config.log.destinations, [{ kind: 'stdout' }]],
  ['log_dest stdout unbuffered', (config) => config.log.destinations, [{ kind: 'stdout' }]],
  ['log_dest none', (config) => config.log.destinations, [{ kind: 'none' }]],
  [
    'log_dest file /var/log/my broker.log',
    (config) => config.log.destinations,
    [{ kind: 'file', path: '/var/log/my broker.log' }],
  ],
  ['log_dest syslog', (config) => config.log.destinations, [{ kind: 'syslog' }]],
  ['log_dest topic', (config) => config.log.destinations, [{ kind: 'topic' }]],
  ['log_facility 5', (config) => config.log.facility, 5],
  ['log_format json', (config) => config.log.format, 'json'],
  ['log_timestamp_format %Y-%m-%dT%H:%M:%S # x', (config) => config.log.timestampFormat, '%Y-%m-%dT%H:%M:%S # x'],
  ['websockets_log_level 7', (config) => config, parse('listener 1884')],
  ['log_type debug', (config) => [...config.log.types], ['debug']],
  ['log_type none', (config) => [...config.log.types], []],
  ['log_timestamp false', (config) => config.log.timestamp, false],
  ['connection_messages false', (config) => config.broker.connectionMessages, false],
  ['pid_file /run/my martlet.pid', (config) => config.pidFile, '/run/my martlet.pid'],
  ['user mosquitto', (config) => config.user, 'mosquitto'],
  ['bind_interface eth0', (config) => listener(config).bindInterface, 'eth0'],
  ['enable_proxy_protocol 2\nrequire_certificate true', (config) => listener(config).requireCertificate, true],
  ['socket_domain ipv6', (config) => listener(config).socketDomain, 'ipv6'],
  ['socket_domain ipv4', (config) => listener(config).socketDomain, 'ipv4'],
  ['mount_point a b/', (config) => listener(config).mountPoint, 'a b/'],
  ['mount_point a\nmount_point b', (config) => listener(config).mountPoint, 'b'],
  ['accept_protocol_versions 5', (config) => listener(config).acceptedVersions, [5]],
  ['accept_protocol_versions 5, 3,4', (config) => listener(config).acceptedVersions, [3, 4, 5]],
  ['use_username_as_clientid true', (config) => listener(config).useUsernameAsClientid, true],
  ['clientid_prefixes dev-', (config) => config.clientidPrefixes, 'dev-'],
  ['listener_allow_anonymous true', (config) => listener(config).security, { ...security, allowAnonymous: true }],
  ['listener_auto_id_prefix x-', (config) => listener(config).security, { ...security, autoIdPrefix: 'x-' }],
  [
    'per_listener_settings true\nallow_anonymous true',
    (config) => [config.security, listener(config).security],
    [security, { ...security, allowAnonymous: true }],
  ],
  ['http_listener 8080', (config) => config.httpListener, { port: 8080, host: '127.0.0.1' }],
  ['http_listener 0 0.0.0.0', (config) => config.httpListener, { port: 0, host: '0.0.0.0' }],
  ['sys_interval 0', (config) => config.sysInterval, 0],
];

/** Those that need others beside them. */
const tlsLines = ['certfile /tls/my server.crt', 'keyfile server.key'];
const tlsCases: readonly Case[] = [
  ['certfile other.crt', (config) => listener(config).certfile, 'other.crt'],
  ['keyfile other.key', (config) => listener(config).keyfile, 'other.key'],
  ['cafile ca.crt', (config) => listener(config).cafile, 'ca.crt'],
  ['cafile ca.crt\nrequire_certificate true', (config) => listener(config).requireCertificate, true],
  ['use_identity_as_username true', (config) => listener(config).useIdentityAsUsername, true],
  ['use_subject_as_username true', (config) => listener(config).useSubjectAsUsername, true],
  ['capath /ca', (config) => listener(config).capath, '/ca'],
  ['cafile ca.crt\ncrlfile c.pem\nrequire_certificate true', (config) => listener(config).crlfile, 'c.pem'],
  ['disable_client_cert_date_checks true', (config) => listener(config).disableClientCertDateChecks, true],
  ['ciphers_tls1.3 TLS_AES_128_GCM_SHA256', (config) => listener(config).ciphersTls13, 'TLS_AES_128_GCM_SHA256'],
  ['tls_keyform pem', (config) => config, parse('listener 1884', 'certfile /tls/my server.crt', 'keyfile server.key')],
  ['tls_version tlsv1.3', (config) => listener(config).tlsVersion, 'tlsv1.3'],
  ['ciphers ECDHE+AESGCM:!aNULL', (config) => listener(config).ciphers, 'ECDHE+AESGCM:!aNULL'],
  [
    'sni_certificate a.example a.crt a.key\nsni_certificate b.example b.crt b.key',
    (config) => listener(config).sniCertificates,
    [
      { serverName: 'a.example', certfile: 'a.crt', keyfile: 'a.key' },
      { serverName: 'b.example', certfile: 'b.crt', keyfile: 'b.key' },
    ],
  ],
];

describe('an option takes effect:', () => {
  test.each(cases)('%j', (line, read, expected) => {
    expect(read(parse('listener 1884', line))).toEqual(expected);
  });

  test.each(tlsCases)('with TLS, %j', (line, read, expected) => {
    expect(read(parse('listener 1884', ...tlsLines, line))).toEqual(expected);
  });

  test('every name in the table has a case above', () => {
    const named = new Set(
      [...cases, ...tlsCases].flatMap(([lines]) => lines.split('\n').map((one) => one.split(' ')[0])),
    );
    // These have files of their own: bridges.test.ts, refused.test.ts, include-dir.test.ts; or are refused in errors.test.ts.
    const elsewhere = [...bridgeOptions, ...pluginOptions, ...deprecatedOptions];
    for (const { name, aliases } of elsewhere) for (const one of [name, ...aliases]) named.add(one);
    for (const one of ['include_dir', 'tls_engine', 'tls_engine_kpass_sha1']) named.add(one);
    expect([...optionsByName.keys()].filter((name) => !named.has(name))).toEqual([]);
  });

  test('and nothing else changes', () => {
    expect(parse('listener 1884')).toEqual({
      ...defaultConfig(),
      listeners: [{ ...defaultListenerConfig(), port: 1884 }],
    });
    expect(parse('')).toEqual(defaultConfig());
  });
});

describe('given several times:', () => {
  test('the last one of a plain option holds', () => {
    const config = parse('max_queued_messages 1', 'max_queued_messages 2', 'listener 1884', 'max_qos 0', 'max_qos 1');
    expect(config.broker.maxQueuedMessages).toBe(2);
    expect(listener(config).maxQos).toBe(1);
  });

  test('log_dest adds up, and none forgets those before it', () => {
    expect(parse('log_dest stdout', 'log_dest stderr', 'log_dest stdout').log.destinations).toEqual([
      { kind: 'stderr' },
      { kind: 'stdout' },
    ]);
    expect(parse('log_dest stdout', 'log_dest none', 'log_dest stderr').log.destinations).toEqual([{ kind: 'stderr' }]);
  });

  test('log_type adds up, none forgets those before it, and all is everything', () => {
    expect([...parse('log_type error', 'log_type debug').log.types]).toEqual(['error', 'debug']);
    expect([...parse('log_type error', 'log_type none', 'log_type notice').log.types]).toEqual(['notice']);
    const all = [
      'error',
      'warning',
      'notice',
      'information',
      'debug',
      'subscribe',
      'unsubscribe',
      'websockets',
      'internal',
    ];
    expect([...parse('log_type all').log.types]).toEqual(all);
  });

  test('websockets_origin adds up', () => {
    const config = parse('listener 1884', 'websockets_origin https://a', 'websockets_origin https://b');
    expect(listener(config).websocketsOrigins).toEqual(['https://a', 'https://b']);
  });
});

describe('sections:', () => {
  test('a listener option is for the listener above it', () => {
    const config = parse('listener 1', 'max_qos 0', 'listener 2', 'listener 3', 'max_qos 1', 'protocol websockets');
    expect(config.listeners.map(({ port, maxQos, protocol }) => [port, maxQos, protocol])).toEqual([
      [1, 0, 'mqtt'],
      [2, 2, 'mqtt'],
      [3, 1, 'websockets'],
    ]);
  });

  test('a global option may stand anywhere', () => {
    const config = parse('listener 1', 'max_keepalive 60', 'listener 2', 'allow_anonymous true');
    expect(config.broker.maxKeepalive).toBe(60);
    expect(config.security.allowAnonymous).toBe(true);
  });

  test('set_tcp_nodelay and websockets_headers_size are for every listener, also those above', () => {
    const config = parse('listener 1', 'set_tcp_nodelay false', 'websockets_headers_size 100', 'listener 2');
    expect(config.listeners.map((one) => [one.setTcpNodelay, one.websocketsHeadersSize])).toEqual([
      [false, 100],
      [false, 100],
    ]);
  });

  test('a listener option before any listener brings the default listener to life, as with Mosquitto, and says so', () => {
    const { config, notices } = parseConfig('max_qos 1\nmax_connections 5\nlistener 1884\n', 'test.conf');
    expect(config.listeners.map(({ port, maxQos, maxConnections }) => [port, maxQos, maxConnections])).toEqual([
      [1883, 1, 5],
      [1884, 2, -1],
    ]);
    expect(notices).toEqual([
      "Creating a listener on port 1883 for 'max_qos', which stands before any 'listener'. " +
        "Move it behind the 'listener' it is meant for.",
    ]);
  });

  test('port and bind_address are the default listener, and go back to it', () => {
    const { config, notices } = parseConfig(
      'port 1990\nlistener 1884\nmax_qos 0\nbind_address localhost\nmax_qos 1\nport 1991\n',
      'test.conf',
    );
    expect(config.listeners.map(({ port, host, maxQos }) => [port, host, maxQos])).toEqual([
      [1991, 'localhost', 1],
      [1884, null, 0],
    ]);
    expect(notices).toEqual([
      "The 'port' option is now deprecated and will be removed in a future version. Please use 'listener' instead.",
      "The 'bind_address' option is now deprecated and will be removed in a future version. Please use 'listener' instead.",
      "The 'port' option is now deprecated and will be removed in a future version. Please use 'listener' instead.",
      'Warning: Default listener port specified multiple times. Only the latest will be used.',
    ]);
  });

  test('a configuration tells which options were given', () => {
    expect([...parseConfig('max_qos 1\nlistener 1\nmaximum_qos 1', 'test.conf').given]).toEqual([
      'max_qos',
      'listener',
    ]);
  });
});

describe('lines:', () => {
  test.each([
    ['a comment', '# max_qos 7'],
    ['an empty line', ''],
    ['blanks', '  \t '],
    ['a comment that is not UTF-8', '# \xff'],
  ])('%s is nothing', (_, line) => {
    expect(parseConfig(Buffer.from(`${line}\n`, 'latin1'), 'test.conf').config).toEqual(defaultConfig());
  });

  test.each([
    ['blanks before and behind', '  \t max_keepalive \t 60  \t'],
    ['Windows line ends', 'max_keepalive 60\r'],
    ['a byte order mark', '\ufeffmax_keepalive 60'],
    ['a remark behind a word', 'max_keepalive 60 # seconds'],
    ['no line end', 'max_keepalive 60'],
  ])('%s do not matter', (_, line) => {
    expect(parse(line).broker.maxKeepalive).toBe(60);
  });

  test('a path has its # and its blanks', () => {
    expect(parse('pid_file /run/a #1  b.pid').pidFile).toBe('/run/a #1  b.pid');
  });
});
