// Options that Martlet cannot have, and those that nobody should have any more.

import { describe, expect, test } from 'bun:test';
import { defaultConfig } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { deprecatedOptions } from '../../src/config/deprecated-options.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { pluginOptions } from '../../src/config/plugin-options.ts';

function refusalOf(...lines: string[]): ConfigError {
  try {
    parseConfig(lines.join('\n'), 'm.conf');
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was taken');
}

const advice = "use 'password_file' for users and 'acl_file' for their rights";

describe('a plugin of Mosquitto', () => {
  test.each([
    ['plugin /usr/lib/x.so', 'plugin', advice],
    ['global_plugin /usr/lib/x.so', 'global_plugin', advice],
    ['auth_plugin /usr/lib/x.so', 'auth_plugin', advice],
    ['plugin_load name /usr/lib/x.so', 'plugin_load', advice],
    [
      'plugin /usr/lib/mosquitto_dynamic_security.so',
      'plugin',
      "dynamic security comes in a later version; use 'password_file' and 'acl_file' for now",
    ],
    [
      'plugin /usr/lib/mosquitto_password_file.so',
      'plugin',
      "Martlet reads password files itself: write 'password_file FILE'",
    ],
    [
      'plugin /usr/lib/mosquitto_acl_file.so',
      'plugin',
      "Martlet reads files of access rules itself: write 'acl_file FILE'",
    ],
    [
      'plugin /usr/lib/mosquitto_persist_sqlite.so',
      'plugin',
      'Martlet keeps sessions and messages itself, without a plugin',
    ],
  ])('%s is one clear error, whatever options it has', (line, name, instead) => {
    const refusal = refusalOf(
      'listener 1883',
      line,
      'plugin_opt_password hunter2',
      'auth_opt_x y',
      'auth_plugin_deny_special_chars true',
      'plugin_use name',
    );
    expect(refusal.message).toBe(`m.conf:2: ${name}: native plugins of Mosquitto cannot be loaded; ${instead}`);
    expect(refusal.isPlugin).toBe(true);
  });

  test('is not all that is wrong where something else is', () => {
    const refusal = refusalOf('plugin /x.so', 'max_qos 7');
    expect(refusal.message).toBe("m.conf:2: max_qos: got '7', expected 0, 1 or 2");
    expect(refusal.isPlugin).toBe(false);
  });

  test('shows no value of its options', () => {
    expect(refusalOf('plugin_opt_password hunter2', 'auth_opt_password hunter2').message).not.toContain('hunter2');
  });

  test('has options that are all in the table', () => {
    expect(pluginOptions.map(({ name }) => name)).toEqual([
      'plugin',
      'global_plugin',
      'auth_plugin',
      'plugin_load',
      'plugin_use',
      'auth_plugin_deny_special_chars',
      'plugin_opt_*',
    ]);
  });
});

describe('an option of earlier days is taken with a warning:', () => {
  const soon = 'option is now deprecated and will be removed in a future version.';
  test.each([
    ['retry_interval 10', 'Warning: The retry_interval option is no longer available.'],
    ['retry_interval', 'Warning: The retry_interval option is no longer available.'],
    ['store_clean_interval x y', 'Warning: The store_clean_interval option is no longer available.'],
  ])('%s', (line, notice) => {
    expect(parseConfig(line, 'm.conf')).toMatchObject({ config: defaultConfig(), notices: [notice] });
    expect(deprecatedOptions.some(({ name }) => line.startsWith(name))).toBe(true);
  });

  test.each([
    ['allow_duplicate_messages false', `The 'allow_duplicate_messages' ${soon} The behaviour will default to true.`],
    ['message_size_limit 9', 'Note: It is recommended to replace `message_size_limit` with `max_packet_size`.'],
    ['retain_expiry_interval 10000001', 'Warning: retain_expiry_interval being capped at 19 years.'],
    ['port 1884', `The 'port' ${soon} Please use 'listener' instead.`],
    ['bind_address ::1', `The 'bind_address' ${soon} Please use 'listener' instead.`],
    ['clientid_prefixes x', `The 'clientid_prefixes' ${soon}`],
    ['auto_id_prefix x', `The 'auto_id_prefix' ${soon} Please use 'listener_auto_id_prefix' instead.`],
    [
      'per_listener_settings false',
      `The 'per_listener_settings' ${soon} Please see the documentation for how to achieve the same effect.`,
    ],
  ])('%s, which works', (line, notice) => {
    expect(parseConfig(line, 'm.conf').notices).toEqual([notice]);
  });

  test('allow_duplicate_messages needs true or false all the same', () => {
    expect(refusalOf('allow_duplicate_messages maybe').message).toBe(
      "m.conf:1: allow_duplicate_messages: got 'maybe', expected true or false",
    );
  });
});
