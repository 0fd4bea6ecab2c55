import { globalOption, type Option } from './option.ts';
import { duration, flag, text, ValueError } from './value-kinds.ts';

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
    name: 'persistence',
    kind: flag,
    default: 'false',
    summary: 'Must be false for now: sessions and retained messages live in memory.',
    apply(_, value) {
      if (value) {
        throw new ValueError('not available yet; sessions live in memory. Set persistence false');
      }
    },
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
