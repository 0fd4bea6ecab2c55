// The thread that owns the database of a SqliteStore: SQLite does its work while the caller waits, and a large batch or a
// checkpoint takes longer than connections may.
import { SqliteHost } from './sqlite-host.ts';
import type { Reply, Request } from './sqlite-protocol.ts';

declare const self: Worker;

const host = new SqliteHost((notice) => send({ id: 0, notice }));

self.onmessage = (event: MessageEvent<Request>) => {
  const { reply, transfer } = host.answer(event.data);
  send(reply, transfer);
  host.afterRequest();
};

function send(reply: Reply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(reply, transfer);
}
