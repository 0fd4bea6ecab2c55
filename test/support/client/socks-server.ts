/** A SOCKS5 proxy for tests, of `node:net` and written from the side of RFC 1928 and RFC 1929. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface SocksRules {
  /** Null: no authentication is wanted. */
  readonly user?: { readonly name: string; readonly password: string } | null;
  /** Of the reply to CONNECT; 0 connects. */
  readonly reply?: number;
  /** Bytes sent instead of the first answer, before closing. */
  readonly garbage?: Uint8Array | null;
  /** Answers come a byte at a time. */
  readonly slow?: boolean;
}

export interface SocksServer {
  readonly port: number;
  /** `NAME:PORT` of each CONNECT, as the client gave it. */
  readonly targets: string[];
  stop(): void;
}

export async function startSocksServer(rules: SocksRules = {}): Promise<SocksServer> {
  const targets: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket, rules, targets, sockets).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    targets,
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function serve(socket: Socket, rules: SocksRules, targets: string[], sockets: Set<Socket>): Promise<void> {
  const read = reader(socket);
  const send = (...bytes: number[]) => {
    if (rules.slow !== true) socket.write(Uint8Array.from(bytes));
    else for (const byte of bytes) socket.write(Uint8Array.of(byte));
  };
  const [, methodCount] = await read(2);
  const methods = await read(methodCount!);
  if (rules.garbage != null) {
    socket.end(rules.garbage);
    return;
  }
  if (rules.user != null) {
    if (!methods.includes(2)) {
      send(5, 0xff);
      socket.end();
      return;
    }
    send(5, 2);
    const [, nameLength] = await read(2);
    const name = (await read(nameLength!)).toString();
    const [passwordLength] = await read(1);
    const password = (await read(passwordLength!)).toString();
    const isRight = name === rules.user.name && password === rules.user.password;
    send(1, isRight ? 0 : 1);
    if (!isRight) {
      socket.end();
      return;
    }
  } else send(5, 0);
  const [, , , type] = await read(4);
  const address = await readAddress(read, type!);
  const port = (await read(2)).readUInt16BE();
  targets.push(`${address}:${port}`);
  const reply = rules.reply ?? 0;
  if (reply !== 0) {
    send(5, reply, 0, 1, 0, 0, 0, 0, 0, 0);
    socket.end();
    return;
  }
  const target = connect(port, address);
  sockets.add(target);
  target.on('error', () => socket.destroy());
  target.on('close', () => socket.end());
  socket.on('close', () => target.destroy());
  target.on('connect', () => {
    send(5, 0, 0, 1, 127, 0, 0, 1, 0, 1);
    socket.pipe(target);
    target.pipe(socket);
    socket.resume();
  });
}

async function readAddress(read: (count: number) => Promise<Buffer>, type: number): Promise<string> {
  if (type === 1) return [...(await read(4))].join('.');
  if (type === 3) return (await read((await read(1))[0]!)).toString();
  const bytes = await read(16);
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
}

/** Reads exactly so many bytes; rejects where the client goes away first. */
function reader(socket: Socket): (count: number) => Promise<Buffer> {
  return async (count) => {
    for (;;) {
      const bytes = count === 0 ? Buffer.alloc(0) : (socket.read(count) as Buffer | null);
      if (bytes !== null) return bytes;
      await new Promise<void>((resolve, reject) => {
        socket.once('readable', resolve);
        socket.once('close', () => reject(new Error('closed')));
      });
    }
  };
}
