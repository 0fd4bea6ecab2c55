import { type Flag, formatFlags, formatRows } from './arguments.ts';
import { VERSION } from './version.ts';

export interface Usage {
  /** `broker [OPTION ...]`. */
  readonly line: string;
  readonly about: string;
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
}

/** The help of one command. */
export function formatUsage({ line, about, flags, examples }: Usage): string {
  return [
    `Usage: martlet ${line}`,
    about,
    formatFlags(flags),
    `Examples:\n${examples.map((example) => `  ${example}`).join('\n')}`,
  ].join('\n\n');
}

/** Names and one line each. */
export function formatCommands(commands: readonly (readonly [name: string, summary: string])[]): string {
  return [
    `Martlet ${VERSION}: self-hosted push over MQTT.`,
    'Usage: martlet COMMAND [OPTION ...]',
    formatRows(commands),
    [
      'Examples:',
      '  martlet start',
      "  martlet sub -t 'sensors/#' -v",
      '  martlet pub -t sensors/1 -m 21.5',
      '  martlet broker -c /etc/mosquitto/mosquitto.conf',
    ].join('\n'),
    "'martlet help COMMAND' tells more of one of them.",
  ].join('\n\n');
}
