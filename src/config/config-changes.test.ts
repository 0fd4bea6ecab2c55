import { describe, expect, test } from 'bun:test';
import { compareConfigs } from './config-changes.ts';
import type { Config } from './config.ts';
import { parseConfig } from './parse-config.ts';

const parse = (...lines: string[]): Config => parseConfig(lines.join('\n'), 'test.conf').config;

function compare(before: readonly string[], after: readonly string[]) {
  return compareConfigs(parse(...before), parse(...after));
}

describe('a reload', () => {
  test('takes over limits, switches, users, log and $SYS', () => {
    const { config, waiting } = compare(
      ['listener 1883'],
      [
        'max_queued_messages 5',
        'allow_anonymous true',
        'password_file /users',
        'acl_file /rules',
        'clientid_prefixes a-',
        'log_type error',
        'log_dest stdout',
        'sys_interval 3',
        'connection_messages false',
        'enable_control_api true',
        'set_tcp_nodelay false',
        'listener 1883',
        'use_username_as_clientid true',
        'accept_protocol_versions 5',
      ],
    );
    expect(waiting).toEqual([]);
    expect(config).toMatchObject({
      broker: { maxQueuedMessages: 5, connectionMessages: false, enableControlApi: true },
      security: { allowAnonymous: true, passwordFile: '/users', aclFile: '/rules' },
      clientidPrefixes: 'a-',
      log: { destinations: [{ kind: 'stdout' }] },
      sysInterval: 3,
      listeners: [{ setTcpNodelay: false, useUsernameAsClientid: true, acceptedVersions: [5] }],
    });
  });

  test('takes over the users of each listener, whatever the order of listeners', () => {
    const { config, waiting } = compare(
      ['listener 1883 127.0.0.1', 'listener 1884', 'listener 0 /run/m.sock'],
      [
        'listener 0 /run/m.sock',
        'listener 1884',
        'listener_allow_anonymous true',
        'listener 1883 127.0.0.1',
        'listener_allow_anonymous false',
      ],
    );
    expect(waiting).toEqual([]);
    expect(config.listeners.map(({ port, unixPath, security }) => [port, unixPath, security?.allowAnonymous])).toEqual([
      [1883, null, false],
      [1884, null, true],
      [0, '/run/m.sock', undefined],
    ]);
  });

  test('leaves set_tcp_nodelay of a PSK listener to the next start of its helper', () => {
    const lines = ['psk_file /keys', 'listener 8883', 'psk_hint hint'];
    const { config, waiting } = compare(lines, [...lines, 'set_tcp_nodelay false']);
    expect(waiting).toEqual(['set_tcp_nodelay of listener 8883']);
    expect(config.listeners[0]!.setTcpNodelay).toBe(true);
  });

  test.each([
    ['pid_file /run/pid', 'pid_file'],
    ['http_listener 8080', 'http_listener'],
    ['user nobody', 'user'],
    ['max_connections 4', 'max_connections of listener 1883'],
    ['max_qos 1', 'max_qos of listener 1883'],
    ['max_topic_alias 4', 'max_topic_alias of listener 1883'],
    ['mount_point a/', 'mount_point of listener 1883'],
    ['protocol websockets', 'protocol of listener 1883'],
    ['enable_proxy_protocol 2', 'enable_proxy_protocol of listener 1883'],
    ['websockets_origin https://a.example', 'websockets_origin of listener 1883'],
    ['listener 1884', 'listener 1884 (new)'],
    ['listener 1884 ::1', 'listener 1884 ::1 (new)'],
  ])('leaves %s to the next start, and says so each time', (line, name) => {
    const before = parse('listener 1883');
    const first = compareConfigs(before, parse('listener 1883', line));
    expect(first.waiting).toEqual([name]);
    expect(first.config).toEqual(before);
    expect(compareConfigs(first.config, parse('listener 1883', line)).waiting).toEqual([name]);
    expect(compareConfigs(first.config, parse('listener 1883')).waiting).toEqual([]);
  });

  test('leaves a listener that is gone or has moved as it is', () => {
    const { config, waiting } = compare(['listener 1883', 'max_qos 1'], ['listener 1885', 'max_qos 2']);
    expect(waiting).toEqual(['listener 1883 (gone)', 'listener 1885 (new)']);
    expect(config.listeners.map(({ port, maxQos }) => [port, maxQos])).toEqual([[1883, 1]]);
  });

  test('tells listeners on free ports apart by their order', () => {
    const file = ['listener 0 127.0.0.1', 'max_qos 1', 'listener 0 127.0.0.1', 'max_qos 2'];
    expect(compare(file, file).waiting).toEqual([]);
    expect(compare(file, [...file, 'max_topic_alias 3']).waiting).toEqual(['max_topic_alias of listener 0 127.0.0.1']);
  });
});
