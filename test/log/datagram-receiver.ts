/** The reading end of a unix datagram socket, for tests that play the syslog daemon or systemd. */
import { dlopen } from 'bun:ffi';
import { unlinkSync } from 'node:fs';

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000 | 0o2000000;

const library = () =>
  dlopen('libc.so.6', {
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    recv: { args: ['i32', 'ptr', 'usize', 'i32'], returns: 'i32' },
    close: { args: ['i32'], returns: 'i32' },
  }).symbols;

export class DatagramReceiver implements Disposable {
  private readonly path: string;
  private readonly calls = library();
  private readonly fd: number;
  private readonly buffer = new Uint8Array(65_536);

  /** @param path or a name in the abstract namespace, which begins with a NUL */
  constructor(path: string) {
    this.path = path;
    const bytes = Buffer.from(path);
    const address = new Uint8Array(2 + bytes.length + (path.startsWith('\0') ? 0 : 1));
    address[0] = AF_UNIX;
    address.set(bytes, 2);
    this.fd = this.calls.socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0);
    if (this.calls.bind(this.fd, address, address.length) !== 0) throw new Error(`cannot bind ${path}`);
  }

  /** The datagrams that are there, as text. */
  take(): string[] {
    const texts: string[] = [];
    for (;;) {
      const length = this.calls.recv(this.fd, this.buffer, this.buffer.length, 0);
      if (length < 0) return texts;
      texts.push(Buffer.from(this.buffer.slice(0, length)).toString());
    }
  }

  [Symbol.dispose](): void {
    this.calls.close(this.fd);
    if (!this.path.startsWith('\0')) unlinkSync(this.path);
  }
}
