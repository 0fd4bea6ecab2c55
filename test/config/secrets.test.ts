// What is wrong with a configuration ends in logs, on terminals and in tickets: a password or key must not.

import { expect, test } from 'bun:test';
import { ConfigError } from '../../src/config/config-error.ts';
import { optionGroups } from '../../src/config/option-table.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

const secret = 'hunter2-correct-horse';

/** All that is said of a file. */
function saidOf(lines: readonly string[]): string {
  try {
    return parseConfig(lines.join('\n'), 'm.conf').notices.join('\n');
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

const secrets = optionGroups.flatMap(({ options }) => options.filter(({ isSecret }) => isSecret));
const names = secrets.flatMap(({ name, aliases }) => [name, ...aliases]);

test('passwords and keys are marked as such', () => {
  expect(names).toEqual(
    expect.arrayContaining(['remote_password', 'password', 'local_password', 'bridge_psk', 'tls_engine_kpass_sha1']),
  );
  const all = optionGroups.flatMap(({ options }) => options.map(({ name }) => name));
  const suspects = all.filter((name) => /password|passwd|psk|secret|token|kpass/.test(name));
  // Names of files, of identities and of those that are no value.
  const harmless = ['password_file', 'psk_file', 'psk_hint'];
  expect(suspects.filter((name) => !harmless.includes(name) && !names.includes(name))).toEqual([]);
});

test.each(names)('%s: a value that is refused is not repeated', (name) => {
  const bridge = ['connection c', 'address 192.0.2.1', 'topic # out'];
  for (const line of [
    `${name} ${secret}`,
    `${name} ${secret} and ${secret}`,
    `${name} ${secret.repeat(5_000)}`,
    `${name}=${secret}`,
    `${name}:${secret}`,
    `${name}x ${secret}`,
  ]) {
    expect(saidOf([line])).not.toContain('hunter2');
    expect(saidOf([...bridge, line])).not.toContain('hunter2');
    expect(saidOf([...bridge, line, line])).not.toContain('hunter2');
  }
});

test('the name in front of a value that hangs on to it is told', () => {
  expect(saidOf([`remote_password=${secret}`])).toBe("m.conf:1: unknown option 'remote_password=...'");
});
