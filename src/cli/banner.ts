import type { BoundListener } from '../broker/broker-server.ts';
import { firstMessage } from '../http/first-message.ts';
import { formatRows } from './arguments.ts';
import { listenerName, type RunningBroker } from './running-broker.ts';
import { VERSION } from './version.ts';

export interface BannerFacts {
  readonly running: RunningBroker;
  /** Path of the configuration file that was read; null: none. */
  readonly file: string | null;
  readonly isAnonymousAllowed: boolean;
  readonly isLocalOnly: boolean;
}

/** What runs where, how to try it, how to stop it. */
export function formatBanner({ running, file, isAnonymousAllowed, isLocalOnly }: BannerFacts): string {
  const parts = [`Martlet ${VERSION} is running.`, formatRows(places(running))];
  const commands = firstMessage(running.listeners.map((one) => ({ name: '', url: one.url, connections: () => 0 })));
  if (!isAnonymousAllowed) {
    parts.push(
      'Every client is refused: allow_anonymous is false, and there is no password_file.\n' +
        `To let clients in, write 'allow_anonymous true' or a password_file into ${file ?? DEFAULT_FILE}.`,
    );
  } else if (commands !== null) {
    const lines = commands.martlet.map((command) => `  ${command}`).join('\n');
    parts.push(`Send the first message, each command in a terminal of its own:`, lines);
  }
  const reach = isLocalOnly ? 'Only programs on this machine can connect. ' : '';
  parts.push(`${file === null ? '' : `Settings are those of ${file}. `}${reach}Stop with Ctrl-C.`);
  return `${parts.join('\n\n')}\n`;
}

/** Read where it exists and no other file is named. */
export const DEFAULT_FILE = './data/martlet.conf';

function places({ listeners, httpUrl, storePath }: RunningBroker): (readonly [string, string])[] {
  const rows = listeners
    .filter((one, i) => !listeners.some((other, j) => j < i && isSamePlace(one, other)))
    .map(({ config, url }) => [listenerName(config), url] as const);
  if (storePath !== null) rows.push(['Sessions and messages', storePath]);
  if (httpUrl === null) return rows;
  return [...rows, ['Status page', httpUrl], ['Metrics', `${httpUrl}metrics`], ['Health', `${httpUrl}healthz`]];
}

/** The IPv6 loopback beside the IPv4 one. */
function isSamePlace(a: BoundListener, b: BoundListener): boolean {
  return a.port !== 0 && a.port === b.port && a.config.protocol === b.config.protocol && a.config.host === '::1';
}
