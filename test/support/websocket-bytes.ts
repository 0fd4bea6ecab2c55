/** The client's side of RFC 6455 as bytes, for tests that need frames that no library sends. */
import { createHash, randomBytes } from 'node:crypto';

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const key = 'dGhlIHNhbXBsZSBub25jZQ==';

export interface UpgradeOptions {
  path?: string;
  /** `Sec-WebSocket-Protocol`; null: none. */
  protocol?: string | null;
  origin?: string;
  /** Further header lines. */
  more?: readonly string[];
}

export function upgradeRequest({
  path = '/mqtt',
  protocol = 'mqtt',
  origin,
  more = [],
}: UpgradeOptions = {}): Uint8Array {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    ...(protocol === null ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ...(origin === undefined ? [] : [`Origin: ${origin}`]),
    ...more,
  ];
  return new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`);
}

/** What a server must answer to `upgradeRequest` (RFC 6455 section 4.2.2). */
export const acceptKey = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** A masked frame; `firstByte` has FIN set unless it is given. */
export function clientFrame(opcode: number, payload: Uint8Array, { fin = true, masked = true } = {}): Uint8Array {
  const { length } = payload;
  const extended = length < 126 ? [] : length < 65_536 ? [length >>> 8, length & 255] : null;
  const header = [
    (fin ? 0x80 : 0) | opcode,
    (masked ? 0x80 : 0) | (length < 126 ? length : extended === null ? 127 : 126),
  ];
  const wide = extended ?? [0, 0, 0, 0, length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255];
  if (!masked) return Uint8Array.from([...header, ...wide, ...payload]);
  const mask = randomBytes(4);
  const bytes = new Uint8Array(header.length + wide.length + 4 + length);
  bytes.set([...header, ...wide, ...mask]);
  const start = header.length + wide.length + 4;
  for (let i = 0; i < length; i++) bytes[start + i] = payload[i]! ^ mask[i & 3]!;
  return bytes;
}

export interface ServerFrame {
  opcode: number;
  fin: boolean;
  payload: Uint8Array;
}

export interface ServerStream {
  /** The HTTP answer up to the empty line; null while it is incomplete. */
  head: string | null;
  frames: ServerFrame[];
  /** Status of a Close frame, as it came. */
  closeCode: number | null;
}

/** Reads all that a server sent so far: its answer, then whole frames, none of them masked. */
export function readServerStream(bytes: Uint8Array): ServerStream {
  const text = Buffer.from(bytes).toString('latin1');
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return { head: null, frames: [], closeCode: null };
  const head = text.slice(0, headEnd);
  if (!head.startsWith('HTTP/1.1 101 ')) return { head, frames: [], closeCode: null };
  const frames: ServerFrame[] = [];
  let at = headEnd + 4;
  while (at + 2 <= bytes.length) {
    const short = bytes[at + 1]!;
    if (short >= 128) throw new Error('a server must not mask');
    const view = new DataView(bytes.buffer, bytes.byteOffset + at + 2);
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (at + 2 + extra > bytes.length) break;
    const length = short < 126 ? short : short === 126 ? view.getUint16(0) : Number(view.getBigUint64(0));
    const start = at + 2 + extra;
    if (start + length > bytes.length) break;
    frames.push({ opcode: bytes[at]! & 15, fin: bytes[at]! >= 128, payload: bytes.slice(start, start + length) });
    at = start + length;
  }
  const close = frames.find(({ opcode }) => opcode === Opcode.close);
  const closeCode =
    close === undefined ? null : close.payload.length < 2 ? 1005 : (close.payload[0]! << 8) | close.payload[1]!;
  return { head, frames, closeCode };
}

/** The MQTT stream in the binary frames of a server. */
export function mqttBytes(frames: readonly ServerFrame[]): Uint8Array {
  return Buffer.concat(frames.filter(({ opcode }) => opcode === Opcode.binary).map(({ payload }) => payload));
}
