import { globalOption, type Option } from './option.ts';
import { httpListenerValue } from './listener-options.ts';
import { filePath, flag, integer, text } from './value-kinds.ts';

/** The process and what can be seen of it. */
export const processOptions: readonly Option[] = [
  globalOption({
    name: 'include_dir',
    kind: text('FOLDER', 'the path of a folder', 4_095),
    default: 'none',
    summary:
      'Reads the files of a folder that end in `.conf` as if they stood here, by name; each begins outside of any ' +
      '`listener`. They cannot include others.',
    isRepeatable: true,
    apply: (_, value, draft) => draft.include(value),
  }),
  globalOption({
    name: 'user',
    kind: text('NAME', 'the name of a user', 256),
    default: 'who starts it',
    summary:
      'Where it is started as root, the user to become, with its groups, before any other file is read and any port ' +
      'is opened.',
    apply: (config, value) => void (config.user = value),
  }),
  globalOption({
    name: 'pid_file',
    kind: filePath,
    default: 'none',
    summary: 'A file for the process id, written when all listeners are open and removed at the end.',
    isOnce: true,
    apply: (config, value) => void (config.pidFile = value),
  }),
  globalOption({
    name: 'http_listener',
    kind: httpListenerValue,
    default: 'none',
    summary: 'Opens HTTP for `/healthz`, `/metrics` and the status page, on 127.0.0.1 or the address given.',
    isOurs: true,
    isOnce: true,
    apply: (config, value) => void (config.httpListener = value),
  }),
  globalOption({
    name: 'sys_interval',
    kind: integer(0, 65_535, 'a number of seconds'),
    default: '10',
    summary: 'Seconds between updates of `$SYS`; 0 is none.',
    apply: (config, value) => void (config.sysInterval = value),
  }),
  globalOption({
    name: 'enable_control_api',
    kind: flag,
    default: 'false',
    summary:
      'Answers requests under `$CONTROL/broker/v1`, such as those of `martlet ctrl broker`. ' +
      'Give an `acl_file`, too: without one every client may ask.',
    apply: ({ broker }, value) => void (broker.enableControlApi = value),
  }),
];
