// What a reload takes over of a configuration, and what it leaves to the next start.
import { isDeepStrictEqual } from 'node:util';
import type { Config, ListenerConfig } from './config.ts';

export interface ConfigChanges {
  /**
   * The new configuration with the listeners that are open, in their order: each as the new file has it, or, where it has
   * none on that port, as it was.
   */
  readonly config: Config;
  /** What changed and needs a restart, for people: `pid_file`, `max_qos of listener 1883`, `listener 1884 (new)`. */
  readonly waiting: readonly string[];
}

/** Parts of a configuration that a running broker takes over; all others wait for the next start. */
const globalParts: ReadonlySet<string> = new Set<keyof Config>([
  'broker',
  'security',
  'clientidPrefixes',
  'log',
  'sysInterval',
]);

/** The same of a listener. Files of TLS are read anew under the names they had. */
const listenerParts: ReadonlySet<string> = new Set<keyof ListenerConfig>([
  'security',
  'useUsernameAsClientid',
  'acceptedVersions',
  'setTcpNodelay',
]);

/** The helper process of a PSK listener has its options from its start. */
const pskListenerParts: ReadonlySet<string> = new Set([...listenerParts].filter((part) => part !== 'setTcpNodelay'));

/** Names of options that differ from those of their fields by more than the way words are joined. */
const optionNames: Readonly<Record<string, string>> = {
  acceptedVersions: 'accept_protocol_versions',
  proxyProtocol: 'enable_proxy_protocol',
  sniCertificates: 'sni_certificate',
  websocketsOrigins: 'websockets_origin',
  ciphersTls13: 'ciphers_tls1.3',
  bridges: 'connection',
};

/**
 * Compares the configuration that runs with one that was read now.
 *
 * @param running `listeners` are those that are open
 */
export function compareConfigs(running: Config, next: Config): ConfigChanges {
  const waiting: string[] = [];
  for (const part of changedParts(running, next, globalParts)) if (part !== 'listeners') waiting.push(optionName(part));
  const left = [...next.listeners];
  const listeners = running.listeners.map((open) => {
    const at = left.findIndex((one) => addressOf(one) === addressOf(open));
    const now = left[at];
    if (now === undefined) {
      waiting.push(`${addressOf(open)} (gone)`);
      return open;
    }
    left.splice(at, 1);
    const live = open.pskHint === null ? listenerParts : pskListenerParts;
    const parts = changedParts(open, now, live).map(optionName);
    for (const name of parts) waiting.push(`${name} of ${addressOf(open)}`);
    // What waits stays as it is, so that the next reload tells of it again.
    return { ...open, ...pick(now, live) };
  });
  for (const one of left) waiting.push(`${addressOf(one)} (new)`);
  const config = { ...running, ...pick(next, globalParts), listeners };
  return { config, waiting };
}

function pick<T extends object>(value: T, names: ReadonlySet<string>): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.has(name))) as Partial<T>;
}

function changedParts(before: object, after: object, ignored: ReadonlySet<string>): string[] {
  const values = new Map(Object.entries(before));
  return Object.entries(after)
    .filter(([name, value]) => !ignored.has(name) && !isDeepStrictEqual(values.get(name), value))
    .map(([name]) => name);
}

/** As it is written in a file. */
function addressOf({ port, host, unixPath }: ListenerConfig): string {
  const rest = unixPath ?? host;
  return `listener ${port}${rest === null ? '' : ` ${rest}`}`;
}

function optionName(field: string): string {
  return optionNames[field] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
