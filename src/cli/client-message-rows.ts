// Options of `martlet pub`, `sub` and `rr` that say what is sent and asked for.
import type { QoS } from '../protocol/packet-type.ts';
import { RetainHandling } from '../protocol/subscribe.ts';
import { isValidTopicFilter, isValidTopicName } from '../protocol/topic.ts';
import {
  all,
  checkTopic,
  type ClientOptionRow,
  flag,
  pub,
  receivers,
  rr,
  senders,
  sub,
  usage,
  valued,
} from './client-option-row.ts';
import type { ClientOptions, MessageSource } from './client-options.ts';
import { setTopic, WILDCARDS } from './client-topic.ts';
import { ClientUsageError, leadingInteger, leadingNumber } from './client-usage-error.ts';

/** In the order of `--help`. */
export const messageRows: readonly ClientOptionRow[] = [
  valued('-t --topic', senders, 'TOPIC', 'no topic specified', 'topic to publish to', (o, value) => {
    setTopic(o, value, '-t');
  }),
  valued(
    '-t --topic',
    sub,
    'FILTER',
    'no topic specified',
    'topic filter to subscribe to; may be repeated',
    (o, value) => {
      setTopic(o, value, '-t');
    },
  ),
  valued('-e', rr, 'TOPIC', 'no response topic specified', 'topic on which the response comes', (o, value) => {
    const message = `Invalid response topic '${value}', does it contain '+' or '#'?`;
    checkTopic('-e', value, isValidTopicName, message);
    o.responseTopic = value;
  }),
  valued('-q --qos', all, 'QOS', 'no QoS specified', 'quality of service: 0 (default), 1 or 2', (o, value) => {
    const qos = leadingInteger(value);
    if (qos < 0 || qos > 2) throw new ClientUsageError(`Error: Invalid QoS given: ${qos}`, 1);
    o.qos = qos as QoS;
  }),
  valued('-m --message', senders, 'TEXT', 'no message specified', 'message to send', (o, text) => {
    setSource(o, { kind: 'text', text });
  }),
  valued('-f --file', senders, 'FILE', 'no file specified', 'send the content of a file as the message', (o, path) => {
    setSource(o, { kind: 'file', path });
  }),
  flag('-s --stdin-file', senders, 'send all of standard input as one message', (o) => setSource(o, { kind: 'stdin' })),
  flag('-l --stdin-line', pub, 'send each line of standard input as a message', (o) => setSource(o, { kind: 'lines' })),
  flag('-n --null-message', senders, 'send an empty message', (o) => setSource(o, { kind: 'none' })),
  flag('-r --retain', pub, 'ask the broker to retain the message', (o) => {
    o.retain = true;
  }),
  valued('--repeat', pub, 'COUNT', 'no count specified', 'with -m, -n, -f, -s: send it COUNT times', (o, value) => {
    const count = leadingInteger(value);
    if (count < 1) throw usage('--repeat argument must be >0.');
    o.repeat = count;
  }),
  valued(
    '--repeat-delay',
    pub,
    'SECONDS',
    'no time specified',
    'between repetitions; fractions are allowed; 0 by default',
    (o, value) => {
      const seconds = leadingNumber(value);
      if (seconds < 0) throw usage('--repeat-delay argument must be >=0.0.');
      o.repeatDelayMs = seconds * 1_000;
    },
  ),
  valued(
    '-M --max-inflight',
    all,
    'COUNT',
    'max_inflight not specified',
    'most QoS 1 and 2 messages on their way; 20 by default',
    (o, value) => {
      const count = leadingInteger(value);
      if (count < 1) throw usage('Maximum inflight messages must be greater than 0.');
      o.maximumInFlight = Math.min(count, 65_535);
    },
  ),
  valued(
    '-U --unsubscribe',
    sub,
    'FILTER',
    'no unsubscribe topic specified',
    'topic filter to unsubscribe from; may be repeated',
    (o, value) => {
      checkTopic('-U', value, isValidTopicFilter, `Invalid unsubscribe topic '${value}', ${WILDCARDS}`);
      o.unsubscribeTopics.push(value);
    },
  ),
  flag('--retain-as-published', receivers, 'MQTT 5: the retain flag as the publisher set it', (o) => {
    o.retainAsPublished = true;
  }),
  valued(
    '--retain-handling',
    receivers,
    'WHEN',
    'no option specified',
    'MQTT 5: whether the broker sends retained messages: always (default), for `new` subscriptions, or never',
    (o, value) => {
      const handling = Object.hasOwn(retainHandlings, value) ? retainHandlings[value] : undefined;
      if (handling === undefined) throw usage(`Unknown value '${value}' for --retain-handling.`);
      o.retainHandling = handling;
    },
  ),
  // will
  valued('--will-topic', all, 'TOPIC', 'no will topic specified', 'topic of the will', (o, value) => {
    const message = `Invalid will topic '${value}', does it contain '+' or '#'?`;
    checkTopic('--will-topic', value, isValidTopicName, message);
    o.willTopic = value;
  }),
  valued('--will-payload', all, 'TEXT', 'no will payload specified', 'message of the will', (o, value) => {
    o.willPayload = value;
  }),
  valued('--will-qos', all, 'QOS', 'no will QoS specified', 'quality of service of the will', (o, value) => {
    const qos = leadingInteger(value);
    if (qos < 0 || qos > 2) throw usage(`Invalid will QoS ${qos}.`);
    o.willQos = qos as QoS;
  }),
  flag('--will-retain', all, 'have the will retained', (o) => {
    o.willRetain = true;
  }),
];

const retainHandlings: Readonly<Record<string, RetainHandling>> = {
  always: RetainHandling.send,
  new: RetainHandling.sendIfNew,
  never: RetainHandling.never,
};

function setSource(options: ClientOptions, source: MessageSource): void {
  if (options.source !== null) throw usage('Only one type of message can be sent at once.');
  options.source = source;
}
