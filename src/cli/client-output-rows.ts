// Options of `martlet pub`, `sub` and `rr` that say what is printed, and when to leave.
import { isValidTopicFilter } from '../protocol/topic.ts';
import { parseMessageFormat } from './client-format.ts';
import { all, checkTopic, type ClientOptionRow, flag, receivers, rr, sub, usage, valued } from './client-option-row.ts';
import { WILDCARDS } from './client-topic.ts';
import { leadingInteger, leadingNumber } from './client-usage-error.ts';

/** In the order of `--help`. */
export const outputRows: readonly ClientOptionRow[] = [
  flag('-v --verbose', receivers, 'print topic and message', (o) => {
    o.verbose = true;
  }),
  valued(
    '-F',
    receivers,
    'FORMAT',
    'no format specified',
    'print by a format: %t topic, %p payload, %j JSON, ...',
    (o, value) => {
      o.format = parseMessageFormat(value);
    },
  ),
  flag('-N', receivers, 'print no end of line', (o) => {
    o.endOfLine = false;
  }),
  flag('--pretty', receivers, 'print JSON (%j, %J) on several lines', (o) => {
    o.pretty = true;
  }),
  flag('-w --watch', sub, 'print each topic on a line of its own, on a terminal', (o) => {
    o.watch = true;
  }),
  flag('--message-rate', sub, 'print how many messages come in a second, instead of the messages', (o) => {
    o.messageRate = true;
  }),
  flag('--latency', rr, 'print how long the response took', (o) => {
    o.measureLatency = true;
    o.noDelay = true;
  }),
  flag('-R', receivers, 'print no retained messages', (o) => {
    o.noRetained = true;
  }),
  flag('--retained-only', sub, 'print retained messages only, and leave at the first other', (o) => {
    o.retainedOnly = true;
  }),
  flag('--remove-retained', sub, 'have the broker forget each retained message that comes', (o) => {
    o.removeRetained = true;
  }),
  valued(
    '-T --filter-out',
    sub,
    'FILTER',
    'no topic filter specified',
    'print no messages of these topics; may be repeated',
    (o, value) => {
      checkTopic('-T', value, isValidTopicFilter, `Invalid filter topic '${value}', ${WILDCARDS}`);
      o.filterOut.push(value);
    },
  ),
  valued(
    '--random-filter',
    sub,
    'PERCENT',
    'no chance specified',
    'print only this percentage of messages, 0.1 to 100',
    (o, value) => {
      const percent = leadingNumber(value);
      if (percent < 0.1 || percent > 100) throw usage('--random-filter chance must be between 0.1-100.0');
      o.randomFilter = percent;
    },
  ),
  // when to leave
  valued('-C', sub, 'COUNT', 'no count specified', 'leave after so many messages', (o, value) => {
    const count = leadingInteger(value);
    if (count < 1) throw usage(`Invalid message count "${count}".`);
    o.messageCount = count;
  }),
  valued('-W', receivers, 'SECONDS', 'no timeout specified', 'leave after so long, with status 27', (o, value) => {
    const seconds = leadingInteger(value);
    if (seconds < 1) throw usage(`Invalid timeout "${seconds}".`);
    o.timeout = seconds;
  }),
  flag('-E', sub, 'leave once the broker has acknowledged the subscriptions', (o) => {
    o.exitAfterSubscribe = true;
  }),
  // for people
  flag('-d --debug', all, 'print each packet', (o) => {
    o.debug = true;
  }),
  flag('--quiet', all, 'print no errors', (o) => {
    o.quiet = true;
  }),
  valued(
    '-o',
    all,
    'FILE',
    'no options file specified',
    'read more options from FILE, one a line, instead of from the usual file (see below)',
    () => {},
  ),
];
