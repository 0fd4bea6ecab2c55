// The option table of `martlet pub`, `sub` and `rr`. `--help` is made from it.
import { connectionRows } from './client-connection-rows.ts';
import { messageRows } from './client-message-rows.ts';
import type { ClientOptionRow } from './client-option-row.ts';
import type { ConnectingCommand } from './client-options.ts';
import { outputRows } from './client-output-rows.ts';
import { tlsRows } from './client-tls-rows.ts';

/** In the order of `--help`. */
export const clientOptionRows: readonly ClientOptionRow[] = [
  ...connectionRows,
  ...messageRows,
  ...outputRows,
  ...tlsRows,
];

/** What `martlet ctrl` takes of them: those that say where to and who. */
const ctrlOptions = new Set(
  `-h -p -L --unix -A --proxy --nodelay -i -u -P --protocol-version -q -d --quiet -o --cafile --capath --tls-use-os-certs
  --cert --key --insecure --psk --psk-identity --tls-version --ciphers --tls-alpn --keyform --tls-engine
  --tls-engine-kpass-sha1`.split(/\s+/),
);

/** The rows of a command, in the order of `--help`. */
export function rowsOf(command: ConnectingCommand): ClientOptionRow[] {
  if (command !== 'ctrl') return clientOptionRows.filter((row) => row.commands.includes(command));
  return clientOptionRows.filter(({ commands, names }) => commands.includes('pub') && ctrlOptions.has(names[0]!));
}

export function rowsByName(command: ConnectingCommand): ReadonlyMap<string, ClientOptionRow> {
  return new Map(rowsOf(command).flatMap((row) => row.names.map((name) => [name, row] as const)));
}
