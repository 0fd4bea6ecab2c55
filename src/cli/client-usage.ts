import { formatRows } from './arguments.ts';
import { clientOptionRows } from './client-option-rows.ts';
import type { ClientCommand } from './client-options.ts';
import type { ClientUsageError } from './client-usage-error.ts';
import { VERSION } from './version.ts';

const summaries: Readonly<Record<ClientCommand, string>> = {
  pub: 'publishes messages on one topic',
  sub: 'subscribes to topics and prints the messages that come',
  rr: 'sends a request and prints the response',
};
const synopses: Readonly<Record<ClientCommand, string>> = {
  pub: '{[-h HOST] [-p PORT] -t TOPIC | -L URL} {-m TEXT | -f FILE | -l | -s | -n} [OPTION ...]',
  sub: '{[-h HOST] [-p PORT] {-t FILTER ... | -U FILTER ...} | -L URL} [OPTION ...]',
  rr: '{[-h HOST] [-p PORT] -t TOPIC | -L URL} -e TOPIC {-m TEXT | -f FILE | -s | -n} [OPTION ...]',
};

export function clientUsage(command: ClientCommand): string {
  const rows = clientOptionRows
    .filter((row) => row.commands.includes(command))
    .map(({ names, takes, help }) => [`${names.join(', ')}${takes === '' ? '' : ` ${takes}`}`, help] as const);
  return [
    `martlet ${command} ${summaries[command]}. It takes the options of mosquitto_${command}.`,
    '',
    `Usage: martlet ${command} ${synopses[command]}`,
    '',
    formatRows(rows),
    '',
    `Options may also stand in $XDG_CONFIG_HOME/mosquitto_${command} or ~/.config/mosquitto_${command}, one a line with its`,
    'value; those of the command line come after them.',
    '',
  ].join('\n');
}

export function clientVersion(command: ClientCommand): string {
  return `martlet ${command} version ${VERSION}\n`;
}

/** What standard error says of a command line that was not taken. */
export function usageComplaint(command: ClientCommand, error: ClientUsageError): string {
  if (error.gap === 0) return `${error.message}\n`;
  return `${error.message}${'\n'.repeat(error.gap)}\nUse 'martlet ${command} --help' to see usage.\n`;
}
