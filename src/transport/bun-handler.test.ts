import { expect, test } from 'bun:test';
import { plainHandler } from './bun-handler.ts';
import type { SocketHandler } from './listener.ts';

/** What is asked of a socket that opens. */
function askedOf(setTcpNodelay: boolean, isTaken = true): string[] {
  const asked: string[] = [];
  const socket = {
    data: null,
    setNoDelay: (noDelay: boolean) => void asked.push(`noDelay ${noDelay}`),
    terminate: () => void asked.push('terminate'),
  } as unknown as Bun.Socket<object | null>;
  const handler = { onOpen: () => (isTaken ? {} : null) } as unknown as SocketHandler<object>;
  plainHandler({ setTcpNodelay }, handler).open!(socket);
  return asked;
}

test('set_tcp_nodelay false has the kernel wait for more to send, which it does not do on sockets of Bun', () => {
  expect([askedOf(false), askedOf(true), askedOf(false, false)]).toEqual([['noDelay false'], [], ['terminate']]);
});
