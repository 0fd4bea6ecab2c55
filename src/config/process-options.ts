import { globalOption, type Option } from './option.ts';
import { httpListenerValue } from './listener-options.ts';
import { filePath, integer } from './value-kinds.ts';

/** The process and what can be seen of it. */
export const processOptions: readonly Option[] = [
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
];
