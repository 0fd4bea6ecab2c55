import type { MemoryStore } from '../../../src/storage/memory-store.ts';

interface Tables {
  readonly sessions: ReadonlyMap<number, { readonly incoming: ReadonlyMap<number, number> }>;
  readonly messages: ReadonlyMap<number, { readonly references: number }>;
  readonly deliveries: ReadonlyMap<number, { readonly messageId: number }>;
}

/** What is wrong inside a store: messages that are named more or less often than they count. */
export function auditMemoryStore(store: MemoryStore): string[] {
  const { sessions, messages, deliveries } = (store as unknown as { tables: Tables }).tables;
  const uses = new Map<number, number>();
  const use = (id: number) => uses.set(id, (uses.get(id) ?? 0) + 1);
  for (const { messageId } of deliveries.values()) use(messageId);
  for (const { incoming } of sessions.values()) for (const id of incoming.values()) if (id > 0) use(id);
  const wrong: string[] = [];
  for (const [id, { references }] of messages) {
    if (references !== uses.get(id)) wrong.push(`message ${id} counts ${references} uses, not ${uses.get(id)}`);
  }
  for (const id of uses.keys()) if (!messages.has(id)) wrong.push(`message ${id} is named and not there`);
  return wrong;
}
