/** Packets as bytes, right and wrong ones. A `version` is the Protocol Level: 3, 4 or 5. */
import { writeVarint } from '../../src/protocol/byte-writer.ts';

export type Version = 3 | 4 | 5;
/** Hex digits (blanks between them do not count) or bytes. */
export type Bytes = string | Uint8Array;

export function bytes(...parts: readonly Bytes[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => [...(typeof part === 'string' ? Buffer.from(part.replaceAll(' ', ''), 'hex') : part)]),
  );
}

export function toHex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex');
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

export function varint(value: number): Uint8Array {
  const out = new Uint8Array(4);
  return out.subarray(0, writeVarint(out, 0, value));
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A string or binary field: two bytes of length, then the content. */
export function field(content: string | Uint8Array): Uint8Array {
  const body = typeof content === 'string' ? utf8(content) : content;
  return bytes(u16(body.length), body);
}

/** A whole packet. */
export function packet(firstByte: number, ...body: readonly Bytes[]): Uint8Array {
  const rest = bytes(...body);
  return bytes(Uint8Array.of(firstByte), varint(rest.length), rest);
}

/** A property section with its length. */
export function section(...list: readonly Bytes[]): Uint8Array {
  const rest = bytes(...list);
  return bytes(varint(rest.length), rest);
}

function sectionOf(version: Version, properties: Bytes | undefined): Bytes {
  return version === 5 ? section(properties ?? '') : '';
}

export interface Will {
  topic: string | Uint8Array;
  payload?: string | Uint8Array;
  qos?: number;
  retain?: boolean;
  properties?: Bytes;
}

export interface Connect {
  version?: Version;
  clientId?: string | Uint8Array;
  /** Clean Session or Clean Start. */
  clean?: boolean;
  keepAlive?: number;
  properties?: Bytes;
  will?: Will;
  username?: string | Uint8Array;
  password?: string | Uint8Array;
  /** Instead of what the other fields make of them. */
  firstByte?: number;
  name?: string;
  level?: number;
  flags?: number;
  /** Instead of will, user name and password; or behind them. */
  rest?: Bytes;
}

/** Keep Alive is 600 unless given. */
export function connect(options: Connect): Uint8Array {
  const { version = 5, will, username, password } = options;
  let flags = (options.clean ?? true) ? 2 : 0;
  if (will !== undefined) flags |= 4 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0);
  if (username !== undefined) flags |= 0x80;
  if (password !== undefined) flags |= 0x40;
  return packet(
    options.firstByte ?? 0x10,
    field(options.name ?? (version === 3 ? 'MQIsdp' : 'MQTT')),
    Uint8Array.of(options.level ?? version, options.flags ?? flags),
    u16(options.keepAlive ?? 600),
    sectionOf(version, options.properties),
    field(options.clientId ?? ''),
    will === undefined ? '' : bytes(sectionOf(version, will.properties), field(will.topic), field(will.payload ?? '')),
    username === undefined ? '' : field(username),
    password === undefined ? '' : field(password),
    options.rest ?? '',
  );
}

export type FilterAndOptions = readonly [filter: string | Uint8Array, options: number];

export function subscribe(
  version: Version,
  packetId: number,
  filters: readonly FilterAndOptions[],
  properties?: Bytes,
): Uint8Array {
  const list = filters.map(([filter, options]) => bytes(field(filter), Uint8Array.of(options)));
  return packet(0x82, u16(packetId), sectionOf(version, properties), ...list);
}

export function unsubscribe(
  version: Version,
  packetId: number,
  filters: readonly (string | Uint8Array)[],
  properties?: Bytes,
): Uint8Array {
  return packet(0xa2, u16(packetId), sectionOf(version, properties), ...filters.map(field));
}

export interface Publish {
  qos?: number;
  /** Packet identifier; only sent above QoS 0. */
  id?: number;
  dup?: boolean;
  retain?: boolean;
  properties?: Bytes;
}

export function publish(
  version: Version,
  topic: string | Uint8Array,
  payload: string | Uint8Array,
  options: Publish = {},
): Uint8Array {
  const { qos = 0, dup = false, retain = false } = options;
  return packet(
    0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0),
    field(topic),
    qos === 0 ? '' : u16(options.id ?? 1),
    sectionOf(version, options.properties),
    typeof payload === 'string' ? utf8(payload) : payload,
  );
}

export const Ack = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const;

/** The short form without `reasonCode`; with it and without `properties`, three bytes of body. */
export function ack(firstByte: number, packetId: number, reasonCode?: number, properties?: Bytes): Uint8Array {
  return packet(
    firstByte,
    u16(packetId),
    reasonCode === undefined ? '' : Uint8Array.of(reasonCode),
    properties === undefined ? '' : section(properties),
  );
}

export function disconnect(reasonCode?: number, properties?: Bytes): Uint8Array {
  return packet(
    0xe0,
    reasonCode === undefined ? '' : Uint8Array.of(reasonCode),
    properties === undefined ? '' : section(properties),
  );
}

export const PINGREQ = Uint8Array.of(0xc0, 0);
