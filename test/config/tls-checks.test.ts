// Options of TLS that need each other or exclude each other, and what is said of one that does nothing.
import { describe, expect, test } from 'bun:test';
import { ConfigError } from '../../src/config/config-error.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

/** Of the third line; null: none. */
function complaint(...lines: readonly string[]): string | null {
  try {
    parseConfig(lines.join('\n'), 'm.conf');
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const [problem, ...more] = (error as ConfigError).problems;
    expect([problem!.line, more]).toEqual([3, []]);
    return problem!.text;
  }
}

const plain = ['psk_file keys', 'listener 1883'];
const proxied = ['listener 1883', 'enable_proxy_protocol 2'];
const TLS = ['certfile a', 'keyfile b'];

describe('refused is', () => {
  test.each([
    [[...plain, 'capath ca'], 'capath: needs certfile and keyfile: without them there is no TLS'],
    [[...plain, 'crlfile lists'], 'crlfile: needs certfile and keyfile: without them there is no TLS'],
    [
      [...plain, 'proxy_protocol_v2_require_tls true'],
      'proxy_protocol_v2_require_tls: needs enable_proxy_protocol 2, whose header tells of TLS',
    ],
    [
      ['listener 1883', 'enable_proxy_protocol 1', 'proxy_protocol_v2_require_tls true'],
      'proxy_protocol_v2_require_tls: needs enable_proxy_protocol 2, whose header tells of TLS',
    ],
    [
      ['listener 1883', 'enable_proxy_protocol 1', 'require_certificate true'],
      'require_certificate: needs certfile, keyfile and a cafile or capath, or enable_proxy_protocol 2: ' +
        'without them clients are not asked',
    ],
    [
      [...proxied, 'use_subject_as_username true'],
      'use_subject_as_username: cannot be used with enable_proxy_protocol: its header tells no subject',
    ],
    [
      [...plain, 'use_subject_as_username true', 'psk_hint hint'],
      'use_subject_as_username: cannot be used with psk_hint: a key has no subject',
    ],
  ])('%j', (lines, text) => {
    expect(complaint(...lines)).toBe(text);
  });
});

describe('taken is', () => {
  test.each([
    [[...proxied, 'require_certificate true', 'proxy_protocol_v2_require_tls true', 'use_identity_as_username true']],
    [['listener 1883', ...TLS, 'capath ca', 'require_certificate true']],
    [['listener 1883', ...TLS, 'cafile ca', 'capath ca', 'crlfile lists', 'require_certificate true']],
    [[...plain, 'psk_hint hint', 'use_subject_as_username true', 'use_identity_as_username true']],
    [['listener 1883', ...TLS, 'crlfile lists']],
  ])('%j', (lines) => {
    expect(complaint(...lines)).toBeNull();
  });
});

test('dhparamfile is said to be needless where it is, in Mosquitto’s words', () => {
  const noticesOf = (...lines: readonly string[]) => parseConfig(lines.join('\n'), 'm.conf').notices;
  expect(noticesOf('listener 1883', ...TLS, 'dhparamfile dh')).toEqual(['Warning: dhparamfile is no longer required.']);
  expect(noticesOf(...plain, 'psk_hint hint', 'dhparamfile dh')).toEqual([]);
});
