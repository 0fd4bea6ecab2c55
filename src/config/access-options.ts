import { deprecation, globalOption, listenerOption, type Option, securityOption } from './option.ts';
import { filePath, flag, text, ValueError } from './value-kinds.ts';

/** Bounds the prefix of made client identifiers, in bytes, as Mosquitto does. */
const autoIdPrefix = text('PREFIX', 'a prefix of at most 50 bytes', 50);

/** Who may connect. */
export const accessOptions: readonly Option[] = [
  globalOption({
    name: 'per_listener_settings',
    kind: flag,
    default: 'false',
    summary:
      'Makes `allow_anonymous`, `password_file`, `acl_file`, `psk_file`, `allow_zero_length_clientid` and ' +
      '`auto_id_prefix` options of the `listener` above them; it must stand before them. Deprecated.',
    apply(_, value, draft) {
      draft.notices.push(
        deprecation('per_listener_settings', 'Please see the documentation for how to achieve the same effect.'),
      );
      // Once it is on, it stays on, as in Mosquitto.
      if (!value || draft.isPerListener) return;
      const early = perListenerOptions.find((name) => draft.given.has(name));
      if (early !== undefined)
        throw new ValueError(`must stand before the other security options, ${early} is above it`);
      draft.isPerListener = true;
    },
  }),
  securityOption({
    name: 'allow_anonymous',
    kind: flag,
    default: 'true without a listener, else false',
    summary: 'Lets clients in that give no user name.',
    apply(security, value, draft) {
      security.allowAnonymous = value;
      if (!draft.isPerListener) return;
      draft.notices.push(
        "You are using the 'allow_anonymous' option with 'per_listener_settings true'. " +
          "Please replace this with 'listener_allow_anonymous'.",
      );
    },
  }),
  listenerOption({
    name: 'listener_allow_anonymous',
    kind: flag,
    default: 'as `allow_anonymous`',
    summary: 'Lets clients of this listener in that give no user name.',
    needsListener: true,
    apply: (listener, value, draft) => void (draft.ownSecurity(listener).allowAnonymous = value),
  }),
  securityOption({
    name: 'password_file',
    kind: filePath,
    default: 'none',
    summary: 'Names the file of users and hashed passwords, as `martlet passwd` and `mosquitto_passwd` write it.',
    apply: (security, value) => void (security.passwordFile = value),
  }),
  securityOption({
    name: 'psk_file',
    kind: filePath,
    default: 'none',
    summary: 'Names the file of identities and keys for listeners with `psk_hint`.',
    apply: (security, value) => void (security.pskFile = value),
  }),
  securityOption({
    name: 'acl_file',
    kind: filePath,
    default: 'none: everyone may publish and receive everything',
    summary: 'Names the file of access rules for topics.',
    apply: (security, value) => void (security.aclFile = value),
  }),
  securityOption({
    name: 'allow_zero_length_clientid',
    kind: flag,
    default: 'true',
    summary: 'Lets clients in that leave their client identifier to the broker.',
    apply: (security, value) => void (security.allowZeroLengthClientid = value),
  }),
  securityOption({
    name: 'auto_id_prefix',
    kind: autoIdPrefix,
    default: 'auto-',
    summary: 'Begins the client identifiers that the broker makes. Deprecated: write `listener_auto_id_prefix`.',
    isOnce: true,
    apply(security, value, draft) {
      draft.notices.push(deprecation('auto_id_prefix', "Please use 'listener_auto_id_prefix' instead."));
      security.autoIdPrefix = value;
    },
  }),
  listenerOption({
    name: 'listener_auto_id_prefix',
    kind: autoIdPrefix,
    default: 'as `auto_id_prefix`',
    summary: 'Begins the client identifiers that the broker makes for clients of this listener.',
    needsListener: true,
    isOnce: true,
    apply: (listener, value, draft) => void (draft.ownSecurity(listener).autoIdPrefix = value),
  }),
  listenerOption({
    name: 'use_username_as_clientid',
    kind: flag,
    default: 'false',
    summary:
      'The user name of a client of this listener is its client identifier, whatever it brings: ' +
      'nobody can end the connection of another user. Clients without a user name are refused.',
    apply: (listener, value) => void (listener.useUsernameAsClientid = value),
  }),
  globalOption({
    name: 'clientid_prefixes',
    kind: text('PREFIX', 'a prefix'),
    default: 'none',
    summary: 'Only client identifiers that begin with this are let in. Deprecated.',
    apply(config, value, draft) {
      draft.notices.push(deprecation('clientid_prefixes'));
      config.clientidPrefixes = value;
    },
  }),
];

const perListenerOptions = accessOptions.flatMap(({ scope, name }) => (scope === 'security' ? [name] : []));
