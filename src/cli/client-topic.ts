import { isValidTopicFilter, isValidTopicName } from '../protocol/topic.ts';
import { checkTopic } from './client-option-row.ts';
import type { ClientOptions } from './client-options.ts';

export const WILDCARDS = "are all '+' and '#' wildcards correct?";

/**
 * Of `-t` and of a URL: what to publish to, or one more to subscribe to.
 *
 * @throws ClientUsageError
 */
export function setTopic(options: ClientOptions, topic: string, argument: string): void {
  if (options.command === 'sub') {
    checkTopic(argument, topic, isValidTopicFilter, `Invalid subscription topic '${topic}', ${WILDCARDS}`);
    options.topics.push(topic);
    return;
  }
  checkTopic(argument, topic, isValidTopicName, `Invalid publish topic '${topic}', does it contain '+' or '#'?`);
  options.topics = [topic];
}
