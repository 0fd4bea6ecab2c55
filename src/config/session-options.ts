import { deprecation, globalOption, type Option } from './option.ts';
import { duration, flag, integer, text } from './value-kinds.ts';

/** Where Mosquitto caps `retain_expiry_interval`. */
const MOST_MINUTES = 10_000_000;

/** What becomes of messages and sessions. */
export const sessionOptions: readonly Option[] = [
  globalOption({
    name: 'retain_available',
    kind: flag,
    default: 'true',
    summary: 'Allows retained messages.',
    apply: ({ broker }, value) => void (broker.retainAvailable = value),
  }),
  globalOption({
    name: 'retain_expiry_interval',
    kind: integer(1, 2_147_483_647, 'a number of minutes'),
    default: '60',
    summary: 'Minutes between two looks for retained messages that have expired and that nobody subscribes to.',
    apply({ broker }, value, { notices }) {
      if (value > MOST_MINUTES) notices.push('Warning: retain_expiry_interval being capped at 19 years.');
      broker.retainExpiryInterval = Math.min(value, MOST_MINUTES) * 60;
    },
  }),
  globalOption({
    name: 'check_retain_source',
    kind: flag,
    default: 'true',
    summary:
      'Sends retained messages to new subscriptions only where their publisher may still write to the topic. After a ' +
      'restart it is not known any more who that was.',
    apply: ({ broker }, value) => void (broker.checkRetainSource = value),
  }),
  globalOption({
    name: 'upgrade_outgoing_qos',
    kind: flag,
    default: 'false',
    summary: 'Delivers each message at the QoS of the subscription, even where it was published at a lower one.',
    apply: ({ broker }, value) => void (broker.upgradeOutgoingQos = value),
  }),
  globalOption({
    name: 'allow_duplicate_messages',
    kind: flag,
    default: 'false',
    summary:
      'Sends clients before MQTT 5 a copy of a message for each of their subscriptions that match, as MQTT 5 clients get ' +
      'them, in place of one in all. Deprecated.',
    apply({ broker }, value, { notices }) {
      notices.push(deprecation('allow_duplicate_messages', 'The behaviour will default to true.'));
      broker.allowDuplicateMessages = value;
    },
  }),
  globalOption({
    name: 'queue_qos0_messages',
    kind: flag,
    default: 'false',
    summary: 'Keeps QoS 0 messages, too, for sessions whose client is away.',
    apply: ({ broker }, value) => void (broker.queueQos0Messages = value),
  }),
  globalOption({
    name: 'persistent_client_expiration',
    kind: duration,
    default: 'never',
    summary: 'When a session ends whose client stays away, such as 14d.',
    apply: ({ broker }, value) => void (broker.persistentClientExpiration = value),
  }),
  globalOption({
    name: 'reason_strings',
    kind: flag,
    default: 'false',
    summary: 'Tells MQTT 5 clients in words why something was refused.',
    isOurs: true,
    apply: ({ broker }, value) => void (broker.reasonStrings = value),
  }),
  globalOption({
    name: 'response_topic_prefix',
    kind: text('PREFIX', 'a prefix of at most 200 bytes', 200),
    default: 'none: no answer',
    summary: 'Begins the topic for answers that MQTT 5 clients get as Response Information where they ask for it.',
    isOurs: true,
    apply: ({ broker }, value) => void (broker.responseTopicPrefix = value),
  }),
];
