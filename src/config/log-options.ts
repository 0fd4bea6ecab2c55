import { type LogDestination, logTypes } from './config.ts';
import { globalOption, type Option } from './option.ts';
import { choice, flag, ValueError, type ValueKind, wordsOf } from './value-kinds.ts';

const absentDestinations = new Set(['syslog', 'topic', 'dlt', 'android']);

const destination: ValueKind<LogDestination> = {
  placeholder: 'stderr|stdout|none|file PATH',
  expects: 'stderr, stdout, none or file PATH',
  read(value) {
    const [kind, ...rest] = wordsOf(value);
    switch (kind) {
      case 'file': {
        const path = value.slice('file'.length).trim();
        if (path === '') throw new ValueError("'file' needs a path behind it: log_dest file PATH");
        return { kind, path };
      }
      case 'stdout':
        // `unbuffered` asks Mosquitto for what we do anyway.
        if (rest.length > 0 && rest.join(' ') !== 'unbuffered') throw new ValueError();
        return { kind };
      case 'stderr':
      case 'none':
        if (rest.length > 0) throw new ValueError();
        return { kind };
      default:
        if (kind !== undefined && absentDestinations.has(kind)) {
          throw new ValueError(`${kind} is not available, expected ${destination.expects}`);
        }
        throw new ValueError();
    }
  },
};

/** Options of the log. */
export const logOptions: readonly Option[] = [
  globalOption({
    name: 'log_dest',
    kind: destination,
    default: 'stderr',
    summary: 'Where the log goes; `none` forgets those before it.',
    isRepeatable: true,
    apply({ log }, value, draft) {
      const isFirst = !draft.given.has('log_dest');
      if (value.kind === 'none') {
        log.destinations = [value];
        return;
      }
      if (value.kind === 'file' && !isFirst && log.destinations.some(({ kind }) => kind === 'file')) {
        throw new ValueError('a log can have only one file, and one is given above');
      }
      const others = isFirst ? [] : log.destinations.filter(({ kind }) => kind !== 'none' && kind !== value.kind);
      log.destinations = [...others, value];
    },
  }),
  globalOption({
    name: 'log_type',
    kind: { ...choice(...logTypes, 'all', 'none'), placeholder: 'TYPE' },
    default: 'error, warning, notice, information',
    summary: `What is logged: ${logTypes.join(', ')}. \`all\` is everything, \`none\` forgets those before it.`,
    isRepeatable: true,
    apply({ log }, value, draft) {
      if (!draft.given.has('log_type') || value === 'none') log.types = new Set();
      if (value === 'none') return;
      for (const type of value === 'all' ? logTypes : [value]) log.types.add(type);
    },
  }),
  globalOption({
    name: 'log_timestamp',
    kind: flag,
    default: 'true',
    summary: 'Begins each line with the seconds since 1970.',
    apply: ({ log }, value) => void (log.timestamp = value),
  }),
  globalOption({
    name: 'connection_messages',
    kind: flag,
    default: 'true',
    summary: 'Logs when clients connect and disconnect.',
    apply: ({ broker }, value) => void (broker.connectionMessages = value),
  }),
];
