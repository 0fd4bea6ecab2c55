import { accessOptions } from './access-options.ts';
import { bridgeOptions } from './bridge-options.ts';
import { deprecatedOptions } from './deprecated-options.ts';
import { limitOptions } from './limit-options.ts';
import { listenerOptions, websocketOptions } from './listener-options.ts';
import { logOptions } from './log-options.ts';
import type { Option } from './option.ts';
import { persistenceOptions } from './persistence-options.ts';
import { pluginOptions } from './plugin-options.ts';
import { processOptions } from './process-options.ts';
import { sessionOptions } from './session-options.ts';
import { tlsOptions } from './tls-options.ts';

/** The options of a configuration file by subject, in the order in which people read of them. */
export const optionGroups: readonly { readonly title: string; readonly options: readonly Option[] }[] = [
  { title: 'Listeners', options: listenerOptions },
  { title: 'TLS', options: tlsOptions },
  { title: 'WebSocket', options: websocketOptions },
  { title: 'Access', options: accessOptions },
  { title: 'Limits', options: limitOptions },
  { title: 'Messages and sessions', options: sessionOptions },
  { title: 'Persistence', options: persistenceOptions },
  { title: 'Log', options: logOptions },
  { title: 'Process', options: processOptions },
  { title: 'Bridges', options: bridgeOptions },
  { title: 'Plugins of Mosquitto', options: pluginOptions },
  { title: 'Options of earlier versions of Mosquitto', options: deprecatedOptions },
];

/** Every option under each of its names. */
export const optionsByName: ReadonlyMap<string, Option> = new Map(
  optionGroups.flatMap(({ options }) =>
    options.flatMap((one) => [one.name, ...one.aliases].map((name) => [name, one])),
  ),
);
