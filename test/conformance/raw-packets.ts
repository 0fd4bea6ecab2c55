/** Packets as bytes that need not be right, and what the broker answers to them. */
import { writeVarint } from '../../src/protocol/byte-writer.ts';
import type { ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { fromHex, TestBroker, toHex } from '../support/test-broker.ts';

type Bytes = string | Uint8Array;

const bytesOf = (value: Bytes): Uint8Array => (typeof value === 'string' ? fromHex(value) : value);

export function join(...parts: readonly Bytes[]): Uint8Array {
  const all = parts.map(bytesOf);
  const joined = new Uint8Array(all.reduce((length, one) => length + one.length, 0));
  let at = 0;
  for (const one of all) {
    joined.set(one, at);
    at += one.length;
  }
  return joined;
}

/** A string or binary field with its two-byte length; text goes as UTF-8. */
export function field(content: string | Uint8Array): Uint8Array {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return join(Uint8Array.of(bytes.length >>> 8, bytes.length), bytes);
}

function withLength(body: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  return join(length.subarray(0, writeVarint(length, 0, body.length)), body);
}

/** A whole packet: first byte, the length of `body`, `body`. */
export function packet(firstByte: number, ...body: readonly Bytes[]): Uint8Array {
  return join(Uint8Array.of(firstByte), withLength(join(...body)));
}

/** A property section, length first. */
export function properties(...list: readonly Bytes[]): Uint8Array {
  return withLength(join(...list));
}

export interface RawConnect {
  firstByte?: number;
  /** Level byte. */
  level?: number;
  name?: string;
  flags?: number;
  keepAlive?: number;
  /** Properties of MQTT 5 without their length. */
  properties?: Bytes;
  clientId?: string | Uint8Array;
  /** What follows the client identifier. */
  rest?: Bytes;
}

/** Without a word about it: MQTT 5, Clean Start, Keep Alive 60, client identifier `c1`. */
export function connect(raw: RawConnect = {}): Uint8Array {
  const level = raw.level ?? 5;
  const keepAlive = raw.keepAlive ?? 60;
  return packet(
    raw.firstByte ?? 0x10,
    field(raw.name ?? (level === 3 ? 'MQIsdp' : 'MQTT')),
    Uint8Array.of(level, raw.flags ?? 2, keepAlive >>> 8, keepAlive),
    level === 5 ? properties(raw.properties ?? '') : '',
    field(raw.clientId ?? 'c1'),
    raw.rest ?? '',
  );
}

/**
 * All that the broker sends on a new connection that sends `chunks`, as hex, and then `closed` where it ended it; after
 * `|` what came after the first chunk.
 */
export function answer(version: ProtocolVersion, chunks: readonly Bytes[], test = new TestBroker()): string {
  const peer = test.open(version);
  const answers = chunks.map((chunk) => {
    peer.send(chunk);
    const hex = toHex(Uint8Array.from(peer.raw));
    peer.take();
    return hex;
  });
  const text = answers.join('|');
  if (!peer.isClosed) peer.drop();
  else return `${text} closed`.trim();
  return text;
}

/** What the broker sends after CONNECT on a connection with Clean Start. */
export function answerAfterConnect(version: ProtocolVersion, chunk: Bytes, test = new TestBroker()): string {
  const text = answer(version, [connect({ level: version }), chunk], test);
  return text.slice(text.indexOf('|') + 1).trim();
}
