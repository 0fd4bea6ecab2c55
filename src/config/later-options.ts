/**
 * Options of mosquitto.conf that this version does not have. They are refused like any unknown option (one that is
 * ignored could leave a door open), yet nobody should be told that a name from the manual is a slip of the pen.
 */
export const laterOptions: ReadonlySet<string> = new Set(
  `accept_protocol_versions address addresses allow_duplicate_messages auth_plugin
  auth_plugin_deny_special_chars autosave_interval autosave_on_changes bind_interface bridge_alpn
  bridge_attempt_unsubscribe bridge_bind_address bridge_cafile bridge_capath bridge_certfile bridge_ciphers
  bridge_ciphers_tls1.3 bridge_identity bridge_insecure bridge_keyfile bridge_max_packet_size bridge_max_topic_alias
  bridge_outgoing_retain bridge_protocol_version bridge_psk bridge_receive_maximum bridge_reload_type
  bridge_require_ocsp bridge_session_expiry_interval bridge_tcp_keepalive bridge_tcp_user_timeout
  bridge_tls_use_os_certs bridge_tls_version capath check_retain_source ciphers_tls1.3 cleansession clientid
  clientid_prefixes connection crlfile dhparamfile disable_client_cert_date_checks enable_control_api
  global_max_clients global_plugin http_dir idle_timeout include_dir keepalive_interval listener_allow_anonymous
  listener_auto_id_prefix local_cleansession local_clientid local_password local_username log_facility
  log_timestamp_format max_inflight_bytes memory_limit mount_point notification_topic notifications
  notifications_local_only packet_buffer_size password per_listener_settings persistence_file
  persistence_location plugin plugin_load plugin_use proxy_protocol_v2_require_tls remote_clientid
  remote_password remote_username restart_timeout retain_expiry_interval retained_persistence retry_interval
  round_robin socket_domain start_type threshold tls_engine tls_engine_kpass_sha1 tls_keyform topic try_private
  upgrade_outgoing_qos use_subject_as_username use_username_as_clientid user username websockets_log_level`.split(
    /\s+/,
  ),
);

/** `auth_opt_` and `plugin_opt_` begin names of a plugin's own making. */
export function isLaterOption(name: string): boolean {
  return laterOptions.has(name) || name.startsWith('auth_opt_') || name.startsWith('plugin_opt_');
}
