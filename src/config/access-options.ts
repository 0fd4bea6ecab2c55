import { globalOption, type Option } from './option.ts';
import { filePath, flag, text } from './value-kinds.ts';

/** Who may connect. */
export const accessOptions: readonly Option[] = [
  globalOption({
    name: 'allow_anonymous',
    kind: flag,
    default: 'true without a listener, else false',
    summary: 'Lets clients in that give no user name.',
    apply: (config, value) => void (config.allowAnonymous = value),
  }),
  globalOption({
    name: 'password_file',
    kind: filePath,
    default: 'none',
    summary: 'Names the file of users and hashed passwords, as `martlet passwd` and `mosquitto_passwd` write it.',
    apply: (config, value) => void (config.passwordFile = value),
  }),
  globalOption({
    name: 'psk_file',
    kind: filePath,
    default: 'none',
    summary: 'Names the file of identities and keys for listeners with `psk_hint`.',
    apply: (config, value) => void (config.pskFile = value),
  }),
  globalOption({
    name: 'acl_file',
    kind: filePath,
    default: 'none: everyone may publish and receive everything',
    summary: 'Names the file of access rules for topics.',
    apply: (config, value) => void (config.aclFile = value),
  }),
  globalOption({
    name: 'allow_zero_length_clientid',
    kind: flag,
    default: 'true',
    summary: 'Lets clients in that leave their client identifier to the broker.',
    apply: ({ broker }, value) => void (broker.allowZeroLengthClientid = value),
  }),
  globalOption({
    name: 'auto_id_prefix',
    kind: text('PREFIX', 'a prefix of at most 50 bytes', 50),
    default: 'auto-',
    summary: 'Begins the client identifiers that the broker makes.',
    isOnce: true,
    apply: ({ broker }, value) => void (broker.autoIdPrefix = value),
  }),
];
