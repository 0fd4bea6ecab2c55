// docs/mosquitto.md has every option of Mosquitto, and says of each what the option table says.

import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bridgeOptions } from '../../src/config/bridge-options.ts';
import { optionsByName, optionGroups } from '../../src/config/option-table.ts';

/** Names in the manual of 2.0.11. */
const manual20 = `acl_file address allow_anonymous allow_duplicate_messages allow_zero_length_clientid auth_plugin
auth_plugin_deny_special_chars auto_id_prefix autosave_interval autosave_on_changes bind_address bind_interface bridge_alpn
bridge_attempt_unsubscribe bridge_bind_address bridge_cafile bridge_capath bridge_certfile bridge_identity bridge_insecure
bridge_keyfile bridge_max_packet_size bridge_outgoing_retain bridge_protocol_version bridge_psk bridge_require_ocsp
bridge_tls_version cafile capath certfile check_retain_source ciphers cleansession clientid_prefixes connection
connection_messages crlfile dhparamfile http_dir idle_timeout include_dir keepalive_interval keyfile listener
local_cleansession local_clientid local_password local_username log_dest log_facility log_timestamp log_timestamp_format
log_type max_connections max_inflight_bytes max_inflight_messages max_keepalive max_packet_size max_qos max_queued_bytes
max_queued_messages max_topic_alias memory_limit message_size_limit mount_point notification_topic notifications
notifications_local_only password_file per_listener_settings persistence persistence_file persistence_location
persistent_client_expiration pid_file port protocol psk_file psk_hint queue_qos0_messages remote_clientid remote_password
remote_username require_certificate restart_timeout retain_available round_robin set_tcp_nodelay socket_domain start_type
sys_interval threshold tls_engine tls_engine_kpass_sha1 tls_keyform tls_version topic try_private upgrade_outgoing_qos
use_identity_as_username use_subject_as_username use_username_as_clientid user websockets_headers_size
websockets_log_level`;

/** What 2.1 reads besides, and old names that both read. */
const more21 = `accept_protocol_versions addresses bridge_ciphers bridge_ciphers_tls1.3 bridge_max_topic_alias
bridge_receive_maximum bridge_reload_type bridge_session_expiry_interval bridge_tcp_keepalive bridge_tcp_user_timeout
bridge_tls_use_os_certs ciphers_tls1.3 clientid disable_client_cert_date_checks enable_control_api enable_proxy_protocol
global_max_clients global_max_connections global_plugin listener_allow_anonymous listener_auto_id_prefix
max_topic_alias_broker maximum_qos packet_buffer_size password plugin plugin_load plugin_use
proxy_protocol_v2_require_tls retain_expiry_interval retained_persistence retry_interval username websockets_origin`;

const namesOf = (text: string) => text.split(/\s+/);
const status = { works: 'works', noEffect: 'accepted without effect', refused: 'refused' } as const;

interface Row {
  readonly name: string;
  readonly status: string;
  readonly remark: string;
}

const document = readFileSync(join(import.meta.dir, '..', '..', 'docs', 'mosquitto.md'), 'utf8');
const rows: Row[] = [...document.matchAll(/^\| `([^`]+)` +\| (\S[^|]*?) +\| (.*?) +\|$/gm)].map(
  ([, name, one, remark]) => ({
    name: name!,
    status: one!,
    remark: remark!,
  }),
);
const byName = new Map(rows.map((row) => [row.name, row]));

/** What the summary of an option says of itself. */
function statusOf(name: string): string {
  const option = optionsByName.get(name)!;
  if (option.summary.startsWith('Accepted without effect')) return status.noEffect;
  return option.summary.startsWith('Refused') || bridgeOptions.includes(option) ? status.refused : status.works;
}

describe('the table of docs/mosquitto.md', () => {
  test('has each option of the option table that is not our own, once', () => {
    const names = optionGroups.flatMap(({ options }) =>
      options.filter(({ isOurs }) => !isOurs).map(({ name }) => name),
    );
    expect(rows.map(({ name }) => name).sort()).toEqual(names.sort());
  });

  test('says of each what the option table says', () => {
    const wrong = rows.filter(({ name, status: one }) => one !== statusOf(name));
    expect(wrong.map(({ name }) => [name, statusOf(name)])).toEqual([]);
  });

  test('says why, where an option does not work', () => {
    expect(rows.filter((row) => row.status !== status.works && row.remark === '')).toEqual([]);
  });

  test('names the other names of an option', () => {
    for (const { name, remark } of rows) {
      for (const alias of optionsByName.get(name)!.aliases) expect(`${name}: ${remark}`).toContain(`\`${alias}\``);
    }
  });
});

describe('every option of the manual', () => {
  test.each([
    ['2.0', namesOf(manual20)],
    ['2.1', namesOf(more21)],
  ])('of %s is in it', (_, names) => {
    const known = (name: string) => byName.has(optionsByName.get(name)?.name ?? '');
    expect(names.filter((name) => !known(name))).toEqual([]);
  });

  test('it has is one of the two manuals, or was once', () => {
    const all = new Set([...namesOf(manual20), ...namesOf(more21), 'plugin_opt_*', 'store_clean_interval']);
    expect(rows.map(({ name }) => name).filter((name) => !all.has(name))).toEqual([]);
  });
});
