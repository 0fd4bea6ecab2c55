import type { ListenerStatus } from './server-info.ts';

/** Two commands to paste into two terminals. */
export interface FirstMessage {
  readonly martlet: readonly [subscribe: string, publish: string];
  readonly mosquitto: readonly [subscribe: string, publish: string];
}

const ANY_ADDRESS = new Set(['0.0.0.0', '[::]', '']);

/**
 * Commands that reach this broker from its own machine: options only where the defaults of the tools do not do. Null
 * where no listener speaks MQTT over plain TCP, since the rest cannot be known from here.
 */
export function firstMessage(listeners: readonly ListenerStatus[]): FirstMessage | null {
  const plain = listeners.map(({ url }) => parseMqttUrl(url)).find((url) => url !== null) ?? null;
  if (plain === null) return null;
  const options = [
    ...(plain.host === null ? [] : ['-h', quote(plain.host)]),
    ...(plain.port === '1883' ? [] : ['-p', plain.port]),
  ];
  const command = (program: string, rest: string) => [program, ...options, rest].join(' ');
  return {
    martlet: [command('bin/martlet sub', '-t hello'), command('bin/martlet pub', '-t hello -m world')],
    mosquitto: [command('mosquitto_sub', '-t hello'), command('mosquitto_pub', '-t hello -m world')],
  };
}

/** Host null: the default of the tools, localhost, reaches it. */
function parseMqttUrl(text: string): { host: string | null; port: string } | null {
  const match = /^mqtt:\/\/(?<host>\[[^\]]*\]|[^:/]*)(?::(?<port>\d+))?\/?$/.exec(text);
  if (match === null) return null;
  const host = match.groups?.['host'] ?? '';
  const isDefault = ANY_ADDRESS.has(host) || host === 'localhost' || host === '127.0.0.1';
  return { host: isDefault ? null : host.replace(/^\[|\]$/g, ''), port: match.groups?.['port'] ?? '1883' };
}

function quote(text: string): string {
  return /^[\w.:%-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
