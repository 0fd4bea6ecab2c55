// Datagrams to a unix socket, which neither Bun nor node: modules can send: the C library's own calls, through bun:ffi.
// The library is loaded where `log_dest syslog` asks for it. Linux alone: constants and the address layout are Linux's.
import { dlopen, type Pointer, read } from 'bun:ffi';
import { LogError } from './log-error.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Of `sun_path`, with the NUL behind it. */
const PATH_BYTES = 108;

/** Failures that say nothing against the connection. */
const temporary = new Set(['EAGAIN', 'EINTR', 'ENOBUFS', 'EMSGSIZE']);

/** Numbers that are the same on all of Linux's usual machines. */
const errorNames: Readonly<Record<number, string>> = {
  2: 'ENOENT',
  4: 'EINTR',
  11: 'EAGAIN',
  13: 'EACCES',
  20: 'ENOTDIR',
  24: 'EMFILE',
  32: 'EPIPE',
  90: 'EMSGSIZE',
  91: 'EPROTOTYPE',
  104: 'ECONNRESET',
  105: 'ENOBUFS',
  107: 'ENOTCONN',
  111: 'ECONNREFUSED',
};

const functions = {
  socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  connect: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  // The result is as wide as a pointer; a datagram's length and -1 fit in the lower half.
  send: { args: ['i32', 'ptr', 'usize', 'i32'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  __errno_location: { args: [], returns: 'ptr' },
} as const;

type CLibrary = ReturnType<typeof dlopen<typeof functions>>['symbols'];

function loadLibrary(): CLibrary {
  if (process.platform !== 'linux') throw new LogError('log_dest syslog needs Linux.');
  const musl = `libc.musl-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`;
  let cause: unknown;
  for (const name of ['libc.so.6', musl]) {
    try {
      return dlopen(name, functions).symbols;
    } catch (error) {
      cause = error;
    }
  }
  throw new LogError(`log_dest syslog needs the C library, which cannot be loaded: ${(cause as Error).message}.`);
}

/** A socket that sends datagrams to a path; what is connected to may come and go. */
export class UnixDatagramSocket {
  private readonly library: CLibrary;
  private readonly address: Uint8Array;
  private readonly errorPointer: Pointer;
  private fd = -1;

  /** @throws LogError where the system has no such sockets, or the path is too long */
  constructor(path: string) {
    const bytes = Buffer.from(path);
    if (bytes.length >= PATH_BYTES) throw new LogError(`The path of the syslog socket is too long: ${path}.`);
    this.library = loadLibrary();
    this.errorPointer = Number(this.library.__errno_location()) as Pointer;
    // sockaddr_un: the family as a native 16-bit number, then the path and a NUL; a name in the abstract namespace begins
    // with a NUL and has none at its end
    this.address = new Uint8Array(2 + bytes.length + (path.startsWith('\0') ? 0 : 1));
    new Uint16Array(this.address.buffer, 0, 1)[0] = AF_UNIX;
    this.address.set(bytes, 2);
  }

  /**
   * Sends one datagram; never waits. Connects first where it is not connected.
   *
   * @returns null, or why not: EAGAIN while the receiver's queue is full
   */
  send(bytes: Uint8Array): NodeJS.ErrnoException | null {
    const wasConnected = this.fd >= 0;
    const error = this.trySend(bytes);
    if (!wasConnected || error === null || temporary.has(error.code ?? '')) return error;
    // The receiver may have been started anew: its socket is another one now.
    this.close();
    return this.trySend(bytes);
  }

  private trySend(bytes: Uint8Array): NodeJS.ErrnoException | null {
    const error = this.fd < 0 ? this.connect() : null;
    if (error !== null) return error;
    const sent = this.library.send(this.fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? this.lastError() : null;
  }

  private connect(): NodeJS.ErrnoException | null {
    const fd = this.library.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return this.lastError();
    if (this.library.connect(fd, this.address, this.address.length) < 0) {
      const error = this.lastError();
      this.library.close(fd);
      return error;
    }
    this.fd = fd;
    return null;
  }

  private lastError(): NodeJS.ErrnoException {
    const number = read.i32(this.errorPointer, 0);
    const code = errorNames[number] ?? `E${number}`;
    return Object.assign(new Error(`${code}: ${errorTexts[code] ?? `error ${number}`}`), { code, errno: number });
  }

  close(): void {
    if (this.fd >= 0) this.library.close(this.fd);
    this.fd = -1;
  }
}

/** As the C library has them. */
const errorTexts: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  ENOTDIR: 'not a directory',
  EMFILE: 'too many open files',
  EPROTOTYPE: 'not a datagram socket',
  ECONNREFUSED: 'connection refused',
  EMSGSIZE: 'message too long',
};
