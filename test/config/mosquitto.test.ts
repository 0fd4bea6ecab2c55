// Debian's Mosquitto reads the same lines: what it takes we take, and what it refuses we refuse.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martlet-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

const CONFIG_REFUSED = 3;

/** An address that no machine has ends Mosquitto as soon as it has taken the configuration. */
const HEAD = 'log_dest none\nlistener 18830 192.0.2.7\n';

async function mosquittoTakes(text: string): Promise<boolean> {
  const file = join(folder, 'mosquitto.conf');
  await writeFile(file, text);
  const mosquitto = Bun.spawn(['mosquitto', '-c', file], { stdout: 'ignore', stderr: 'ignore', timeout: 10_000 });
  const status = await mosquitto.exited;
  expect([1, CONFIG_REFUSED]).toContain(status);
  return status !== CONFIG_REFUSED;
}

function weTake(text: string): boolean {
  try {
    parseConfig(text, 'mosquitto.conf');
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

const taken = [
  '# a comment',
  '   ',
  '  max_qos 1  ',
  'max_qos    1',
  'max_qos 1 # a remark',
  'listener 18831 192.0.2.7 # a remark',
  'max_qos 1\nmax_qos 2',
  'max_qos 1\r',
  'allow_anonymous true',
  'allow_anonymous 0',
  'allow_zero_length_clientid false',
  'auto_id_prefix a b',
  'max_connections -1',
  'max_connections -7',
  'max_inflight_messages 0',
  'max_inflight_messages -1',
  'max_inflight_messages 65535',
  'max_queued_messages -1',
  'max_queued_bytes 0',
  'max_keepalive 10',
  'max_keepalive 65535',
  'max_packet_size 20',
  'max_packet_size 999999999',
  'message_size_limit 268435455',
  'max_topic_alias 0',
  'max_topic_alias 65535',
  'persistent_client_expiration 2m',
  'sys_interval 0',
  'sys_interval 65535',
  'set_tcp_nodelay true',
  'queue_qos0_messages 1',
  'retain_available false',
  'persistence false',
  'protocol mqtt',
  'protocol websockets',
  'connection_messages false',
  'log_timestamp 0',
  'log_type all',
  'log_type error\nlog_type debug\nlog_type none',
  'log_dest stdout\nlog_dest none',
  'use_identity_as_username true',
  'tls_version tlsv1.3',
  'ciphers A:B',
];

const refused = [
  'frobnicate 1',
  ' # not in the first column',
  'MAX_QOS 1',
  'max_qos',
  'max_qos 3',
  'max_qos -1',
  'allow_anonymous',
  'allow_anonymous yes',
  'allow_anonymous TRUE',
  'listener',
  'listener 65536',
  'listener -1',
  'auto_id_prefix',
  'auto_id_prefix a\nauto_id_prefix b',
  'max_inflight_messages 65536',
  'max_keepalive 65536',
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
  'log_dest file',
  'pid_file',
  'tls_version tlsv1.2\ntls_version tlsv1.2',
];

test.each(taken)('both take %j', async (line) => {
  const text = `${HEAD}${line}\n`;
  expect([await mosquittoTakes(text), weTake(text)]).toEqual([true, true]);
});

test.each(refused)('both refuse %j', async (line) => {
  const text = `${HEAD}${line}\n`;
  expect([await mosquittoTakes(text), weTake(text)]).toEqual([false, false]);
});
