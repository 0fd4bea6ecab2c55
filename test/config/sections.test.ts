// Whose option it is: per_listener_settings, listener_allow_anonymous, listener_auto_id_prefix, and words too many.

import { describe, expect, test } from 'bun:test';
import { type Config, defaultSecurityConfig, securityOf } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

const parse = (...lines: string[]): Config => parseConfig(lines.join('\n'), 'm.conf').config;

function complaintsOf(...lines: string[]): string[] {
  try {
    parse(...lines);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const securities = (config: Config) => config.listeners.map((listener) => securityOf(config, listener));
const none = defaultSecurityConfig();

describe('without per_listener_settings', () => {
  test('security options are for all listeners, wherever they stand', () => {
    const config = parse('listener 1', 'password_file p', 'listener 2', 'acl_file a', 'allow_anonymous true');
    expect(config.listeners.map(({ security }) => security)).toEqual([null, null]);
    expect(securities(config)).toEqual([
      { ...none, passwordFile: 'p', aclFile: 'a', allowAnonymous: true },
      { ...none, passwordFile: 'p', aclFile: 'a', allowAnonymous: true },
    ]);
  });

  test('listener_allow_anonymous and listener_auto_id_prefix are for one, and leave the rest as it is for all', () => {
    const config = parse(
      'listener 1',
      'listener_allow_anonymous true',
      'listener 2',
      'listener_auto_id_prefix two-',
      'listener 3',
      'acl_file a',
      'allow_anonymous false',
      'auto_id_prefix all-',
    );
    const all = { ...none, aclFile: 'a', allowAnonymous: false, autoIdPrefix: 'all-' };
    expect(securities(config)).toEqual([{ ...all, allowAnonymous: true }, { ...all, autoIdPrefix: 'two-' }, all]);
    expect(config.listeners[2]!.security).toBeNull();
  });
});

describe('with per_listener_settings true', () => {
  test('they are for the listener above them', () => {
    const config = parse(
      'per_listener_settings true',
      'listener 1',
      'allow_anonymous true',
      'listener 2',
      'password_file p',
      'acl_file a',
      'psk_file k',
      'allow_zero_length_clientid false',
      'auto_id_prefix two-',
      'listener 3',
    );
    expect(securities(config)).toEqual([
      { ...none, allowAnonymous: true },
      {
        ...none,
        passwordFile: 'p',
        aclFile: 'a',
        pskFile: 'k',
        allowZeroLengthClientid: false,
        autoIdPrefix: 'two-',
      },
      none,
    ]);
  });

  test('each listener may have its auto_id_prefix, but not two', () => {
    const lines = ['per_listener_settings true', 'listener 1', 'auto_id_prefix a', 'listener 2', 'auto_id_prefix b'];
    expect(complaintsOf(...lines)).toEqual([]);
    expect(complaintsOf(...lines, 'auto_id_prefix c')).toEqual([
      'm.conf:6: auto_id_prefix is given a second time, first in line 5',
    ]);
  });

  test('those above any listener are for the default one, where port or another option brings it to life', () => {
    const config = parse('per_listener_settings true', 'password_file p', 'port 1990', 'listener 2', 'acl_file a');
    expect(config.listeners.map(({ port }) => port)).toEqual([1990, 2]);
    expect(securities(config)).toEqual([
      { ...none, passwordFile: 'p' },
      { ...none, aclFile: 'a' },
    ]);
  });

  test('and else an error, as in Mosquitto 2.1: nothing is opened that nobody asked for', () => {
    expect(complaintsOf('per_listener_settings true', 'allow_anonymous true', 'acl_file a', 'listener 1')).toEqual([
      'm.conf:2: allow_anonymous: with per_listener_settings true it is for the listener above it, and there is none',
      'm.conf:3: acl_file: with per_listener_settings true it is for the listener above it, and there is none',
    ]);
  });

  test('it stands before them, and is not taken back', () => {
    expect(complaintsOf('listener 1', 'acl_file a', 'per_listener_settings true')).toEqual([
      'm.conf:3: per_listener_settings: must stand before the other security options, acl_file is above it',
    ]);
    expect(complaintsOf('listener 1', 'acl_file a', 'per_listener_settings false')).toEqual([]);
    const config = parse('per_listener_settings true', 'per_listener_settings false', 'listener 1', 'acl_file a');
    expect(config.security.aclFile).toBeNull();
    expect(config.listeners[0]!.security?.aclFile).toBe('a');
  });

  test('allow_anonymous has a better name, which the log tells', () => {
    expect(parseConfig('per_listener_settings true\nlistener 1\nallow_anonymous true', 'm.conf').notices).toContain(
      "You are using the 'allow_anonymous' option with 'per_listener_settings true'. " +
        "Please replace this with 'listener_allow_anonymous'.",
    );
  });
});

describe('words behind a value that has enough', () => {
  test.each([
    ['max_keepalive 60 61', "m.conf:2: max_keepalive takes no notice of '61'."],
    ['allow_anonymous true // for now', "m.conf:2: allow_anonymous takes no notice of '// for now'."],
    ['listener 1884 127.0.0.1 192.0.2.1', "m.conf:2: listener takes no notice of '192.0.2.1'."],
    ['persistent_client_expiration 1d 2d', "m.conf:2: persistent_client_expiration takes no notice of '2d'."],
    ['socket_domain ipv4 ipv6', "m.conf:2: socket_domain takes no notice of 'ipv6'."],
    ['max_qos 1 2', "m.conf:2: max_qos takes no notice of '2'."],
  ])('change nothing, as in Mosquitto, and the log says so: %s', (line, notice) => {
    const value = line.split(' ');
    const plain = parse('listener 1883', value.slice(0, line.startsWith('listener') ? 3 : 2).join(' '));
    const { config, notices } = parseConfig(`listener 1883\n${line}\n`, 'm.conf');
    expect(notices).toContain(`Warning: ${notice}`);
    expect(config).toEqual(plain);
  });

  test('are a remark behind #', () => {
    expect(parseConfig('max_keepalive 60 # 61', 'm.conf').notices).toEqual([]);
  });
});
