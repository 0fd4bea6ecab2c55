import { type LogDestination, LogFormat, logTypes } from './config.ts';
import { globalOption, type Option } from './option.ts';
import { choice, flag, integer, text, ValueError, type ValueKind, wordsOf } from './value-kinds.ts';

const INT_MAX = 2_147_483_647;
/** `log_facility 0` to `7`: syslog has local0 to local7. */
const LAST_LOCAL = 7;

const absentDestinations: Readonly<Record<string, string>> = {
  dlt: 'the daemon of AUTOSAR DLT',
  android: "Android's log",
};

const destination: ValueKind<LogDestination> = {
  placeholder: 'stderr|stdout|syslog|topic|none|file PATH',
  expects: 'stderr, stdout, syslog, topic, none or file PATH',
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
      case 'syslog':
      case 'topic':
      case 'none':
        if (rest.length > 0) throw new ValueError();
        return { kind };
      default: {
        const absent = kind === undefined ? undefined : absentDestinations[kind];
        if (absent === undefined) throw new ValueError();
        throw new ValueError(`Martlet does not write to ${absent}, expected ${destination.expects}`);
      }
    }
  },
};

/** Options of the log. */
export const logOptions: readonly Option[] = [
  globalOption({
    name: 'log_dest',
    kind: destination,
    default: 'stderr',
    summary: 'Where the log goes; `topic` is `$SYS/broker/log/#`, and `none` forgets those before it.',
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
    name: 'log_facility',
    kind: integer(0, LAST_LOCAL, 'a number'),
    default: 'daemon',
    summary: 'Facility of the lines that go to syslog: 0 is `local0`, 7 is `local7`.',
    apply: ({ log }, value) => void (log.facility = value),
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
    name: 'log_format',
    kind: choice(LogFormat.text, LogFormat.json),
    default: 'text',
    summary: 'How a line looks: as from Mosquitto, or as a JSON object.',
    isOurs: true,
    apply: ({ log }, value) => void (log.format = value),
  }),
  globalOption({
    name: 'log_timestamp',
    kind: flag,
    default: 'true',
    summary: 'Begins each line with the time.',
    apply: ({ log }, value) => void (log.timestamp = value),
  }),
  globalOption({
    name: 'log_timestamp_format',
    kind: text('FORMAT', 'a time format as strftime takes it, such as %Y-%m-%dT%H:%M:%S', 256),
    default: 'seconds since 1970',
    summary: 'How the local time at the beginning of a line is written, as strftime(3) has it.',
    isOnce: true,
    apply: ({ log }, value) => void (log.timestampFormat = value),
  }),
  globalOption({
    name: 'connection_messages',
    kind: flag,
    default: 'true',
    summary: 'Logs when clients connect and disconnect.',
    apply: ({ broker }, value) => void (broker.connectionMessages = value),
  }),
  globalOption({
    name: 'websockets_log_level',
    kind: integer(0, INT_MAX, 'a number'),
    default: '0',
    summary: 'Accepted without effect: it is for a library that Martlet does without. See `log_type websockets`.',
    apply: () => {},
  }),
];
