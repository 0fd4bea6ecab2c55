// Who subscribes to what, for an operator: SIGUSR2.
import type { FilterEntry, Subscription } from '../routing/subscription.ts';
import type { TopicTree } from '../routing/topic-tree.ts';
import type { Session } from '../session/session.ts';

/** Characters that are handed on at once. */
const SLICE = 64 * 1024;

/**
 * One line a Topic Filter, with each client and its QoS as Mosquitto prints them: `a/+/b (client1, 0) (client2, 2)`; a
 * shared subscription has a line of its own, `$share/NAME/FILTER (client, 1)`. Clients go on meanwhile, so that the list
 * need not be that of one moment.
 *
 * @param write takes text; false ends the list
 * @returns how many subscriptions were written
 */
export async function listSubscriptions(
  tree: TopicTree<Session>,
  write: (text: string) => Promise<boolean>,
): Promise<number> {
  let text = '';
  let count = 0;
  for (const words of lines(tree)) {
    if (words.startsWith(' (')) count++;
    text += words;
    if (text.length < SLICE) continue;
    if (!(await write(text))) return count;
    text = '';
  }
  await write(text);
  return count;
}

/** Parts of lines: a filter, ` (CLIENT, QOS)`, a line break. */
function* lines(tree: TopicTree<Session>): Generator<string> {
  for (const entry of tree.entries()) {
    const { groups } = entry;
    if (entry.count > 0) {
      yield clean(entry.topicFilter);
      yield* clients(entry);
      yield '\n';
    }
    for (const { shareName, members } of groups ?? []) {
      yield clean(`$share/${shareName}/${entry.topicFilter}`);
      yield* each(members);
      yield '\n';
    }
  }
}

function* clients(entry: FilterEntry<Session>): Generator<string> {
  if (entry.list !== null) yield* each(entry.list);
  else if (entry.only !== null) yield client(entry.only);
}

/** By index: the list may change between two turns. */
function* each(list: readonly Subscription<Session>[]): Generator<string> {
  for (let i = 0; i < list.length; i++) yield client(list[i]!);
}

function client({ subscriber, qos }: Subscription<Session>): string {
  return ` (${clean(subscriber.clientId)}, ${qos})`;
}

/** What clients chose, fit for a terminal. */
function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the very characters that must not reach a terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
