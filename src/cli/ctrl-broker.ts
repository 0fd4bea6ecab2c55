// The module `broker` of `martlet ctrl`: what it asks, and how the answers are shown. Both are mosquitto_ctrl's.

export const BROKER_TOPIC = '$CONTROL/broker/v1';

/** Commands by their names in small letters; they are taken whatever their case. */
const commands: Readonly<Record<string, string>> = { listplugins: 'listPlugins', listlisteners: 'listListeners' };

export const brokerHelp = [
  '',
  'Broker Control module',
  '=======================',
  'List plugins    :          listPlugins',
  'List listeners  :          listListeners',
  '',
].join('\n');

/** The request of a command, or null where there is no such command. */
export function brokerRequest(command: string): string | null {
  const name = command.toLowerCase();
  if (!Object.hasOwn(commands, name)) return null;
  return JSON.stringify({ commands: [{ command: commands[name] }] });
}

export interface ShownAnswer {
  readonly stdout: string;
  readonly stderr: string;
}

const invalid: ShownAnswer = { stdout: '', stderr: 'Error: Invalid response from server.\n' };
const incomplete: ShownAnswer = { stdout: '', stderr: 'Error: Payload missing data.\n' };

/** @param payload of the message on the topic of answers */
export function showBrokerAnswer(payload: Uint8Array): ShownAnswer {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return { stdout: '', stderr: 'Error: Payload not JSON.\n' };
  }
  const refusal = text(answer, 'error');
  if (refusal !== null) {
    const advice = 'The configuration of the broker needs enable_control_api true.';
    return { stdout: '', stderr: `Error: ${refusal}. ${advice}\n` };
  }
  const response = list(answer, 'responses')?.[0];
  const command = text(response, 'command');
  if (command === null) return incomplete;
  const error = text(response, 'error');
  if (error !== null) return { stdout: '', stderr: `${command}: Error: ${error}.\n` };
  const data = member(response, 'data');
  switch (command.toLowerCase()) {
    case 'listlisteners':
      return showAll(list(data, 'listeners'), showListener);
    case 'listplugins':
      return showAll(list(data, 'plugins'), showPlugin);
    default:
      return { stdout: '', stderr: '' };
  }
}

function showAll(items: readonly unknown[] | null, show: (item: unknown, index: number) => string | null): ShownAnswer {
  if (items === null) return invalid;
  let stdout = '';
  for (const [index, item] of items.entries()) {
    const shown = show(item, index);
    if (shown === null) return { ...invalid, stdout };
    stdout += shown;
  }
  return { stdout, stderr: '' };
}

function showListener(listener: unknown, index: number): string {
  const port = member(listener, 'port');
  const rows: [string, string | null][] = [
    ['Port', typeof port === 'number' ? String(port) : null],
    ['Protocol', text(listener, 'protocol')],
    ['Socket path', text(listener, 'socket-path')],
    ['Bind address', text(listener, 'bind-address')],
    ['TLS', String(member(listener, 'tls') === true)],
  ];
  return `Listener ${index + 1}:\n${formatRows(rows, '  ')}\n`;
}

function showPlugin(plugin: unknown): string | null {
  const name = text(plugin, 'name');
  if (name === null) return null;
  const topics = (list(plugin, 'control-endpoints') ?? []).filter((one) => typeof one === 'string').map(clean);
  const endpoints = topics.length === 0 ? null : topics.join(`\n${' '.repeat(WIDTH)}`);
  return formatRows(
    [
      ['Plugin', name],
      ['Version', text(plugin, 'version')],
      ['Control endpoints', endpoints],
    ],
    '',
  );
}

const WIDTH = 19;

/** One line a row; null has none. */
function formatRows(rows: readonly (readonly [string, string | null])[], indent: string): string {
  return rows
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${indent}${`${name}:`.padEnd(WIDTH)}${value}\n`)
    .join('');
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function text(value: unknown, name: string): string | null {
  const found = member(value, name);
  return typeof found === 'string' ? clean(found) : null;
}

function list(value: unknown, name: string): readonly unknown[] | null {
  const found = member(value, name);
  return Array.isArray(found) ? found : null;
}

/** What a server says must not steer a terminal. */
function clean(words: string): string {
  // oxlint-disable-next-line no-control-regex -- the very characters that must not reach a terminal
  return words.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
