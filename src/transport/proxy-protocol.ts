// HAProxy's PROXY protocol, versions 1 and 2, receiving side: the header that a load balancer sends ahead of a
// connection to tell whom it speaks for. Once a connection, not per packet. Nothing is guessed: whether a listener
// expects the header is configuration, and a connection without a valid one is refused, because who may send the header
// may claim any address.

export interface ProxyVersions {
  readonly v1: boolean;
  readonly v2: boolean;
}

export type ProxyResult = ProxyPending | ProxyHeader | ProxyError;

export interface ProxyPending {
  readonly kind: 'more';
}

export interface ProxyHeader {
  readonly kind: 'done';
  /** Index in the pushed chunk of the first byte after the header; may be its end. */
  readonly consumed: number;
  readonly version: 1 | 2;
  /** v2 LOCAL: the proxy speaks for itself (a health check), all else is null. */
  readonly local: boolean;
  /**
   * IPv4 or IPv6 in the canonical text of RFC 5952, or a unix socket path (`@name` for an abstract one, empty for an
   * unnamed one). Null when the header names no stream endpoints (LOCAL, UNKNOWN, UNSPEC, datagram): then the socket's
   * own addresses hold.
   */
  readonly sourceAddress: string | null;
  /** 0 for a unix socket; null with a null address. */
  readonly sourcePort: number | null;
  readonly destinationAddress: string | null;
  readonly destinationPort: number | null;
  /** What the client negotiated with the proxy; null when it came without TLS or the proxy does not tell. */
  readonly tls: ProxyTls | null;
  readonly alpn: string | null;
  /** Server name that the client asked for (SNI). */
  readonly authority: string | null;
  /** Names the connection across proxies, at most 128 bytes. */
  readonly uniqueId: Uint8Array | null;
}

export interface ProxyTls {
  /** As the proxy spells it, such as `TLSv1.3`. */
  readonly version: string | null;
  readonly cipher: string | null;
  /** Of the client's certificate. Worth no trust unless `verified`. */
  readonly commonName: string | null;
  /** A certificate was presented, on this connection or on the TLS session that it resumes. */
  readonly certificatePresented: boolean;
  /** A certificate was presented and the proxy found it valid. */
  readonly verified: boolean;
}

export interface ProxyError {
  readonly kind: 'error';
  /** For the log: one line, printable ASCII. */
  readonly cause: string;
}

/** Longest v1 line, with its CRLF. */
const V1_MAX_LENGTH = 107;
const V1_PREFIX = bytesOf('PROXY ');
/** Bytes of a v2 header before the block that its length field counts. */
const V2_FIXED_LENGTH = 16;
const V2_SIGNATURE = bytesOf('\r\n\r\n\0\r\nQUIT\n');
/** Most bytes that the v2 length field may announce. The addresses take at most 216, the rest is TLVs. */
export const PROXY_V2_MAX_LENGTH = 4096;

const LF = 0x0a;
const CR = 0x0d;

const COMMAND_LOCAL = 0;
const FAMILY_INET = 1;
const FAMILY_INET6 = 2;
const FAMILY_UNIX = 3;
const TRANSPORT_STREAM = 1;

const TLV_ALPN = 0x01;
const TLV_AUTHORITY = 0x02;
const TLV_CRC32C = 0x03;
const TLV_UNIQUE_ID = 0x05;
const TLV_SSL = 0x20;
const TLV_SSL_VERSION = 0x21;
const TLV_SSL_COMMON_NAME = 0x22;
const TLV_SSL_CIPHER = 0x23;
const MAX_UNIQUE_ID = 128;

const CLIENT_SSL = 0x01;
const CLIENT_CERTIFICATE = 0x02 | 0x04;

const PENDING: ProxyPending = { kind: 'more' };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads one header; chunks may split it at any byte. After a result other than `more` it has done its work. */
export class ProxyHeaderReader {
  private readonly versions: ProxyVersions;
  /** 0 until the first byte tells. */
  private version: 0 | 1 | 2;
  private buffer: Uint8Array;
  private length: number;
  /** v2: bytes of the whole header, once known; else 0. */
  private total: number;

  constructor(versions: ProxyVersions) {
    this.versions = versions;
    this.version = 0;
    this.buffer = new Uint8Array(128);
    this.length = 0;
    this.total = 0;
  }

  /** Each byte is judged as it comes, so that a stranger is refused at the first wrong one. */
  push(chunk: Uint8Array, start: number, end: number): ProxyResult {
    for (let i = start; i < end; i++) {
      const byte = chunk[i]!;
      const index = this.length;
      this.buffer[index] = byte;
      this.length = index + 1;
      if (index === 0) {
        const cause = this.chooseVersion(byte);
        if (cause !== null) return failure(cause);
      }
      if (this.version === 1) {
        if (index < V1_PREFIX.length) {
          if (byte !== V1_PREFIX[index]) return failure('no PROXY header');
          continue;
        }
        const afterCr = this.buffer[index - 1] === CR;
        if ((byte === LF) !== afterCr) return failure('v1 line with a CR or LF of its own');
        if (byte === LF) return parseLine(this.buffer, this.length, i + 1);
        if (this.length === V1_MAX_LENGTH) return failure('v1 line longer than 107 bytes');
      } else {
        const cause = this.takeV2Byte(byte, index);
        if (cause !== null) return failure(cause);
        if (this.length === this.total) return parseBlock(this.buffer, this.total, i + 1);
      }
    }
    return PENDING;
  }

  private chooseVersion(byte: number): string | null {
    if (byte === V1_PREFIX[0]) {
      this.version = 1;
      return this.versions.v1 ? null : 'v1 header, which this listener does not take';
    }
    if (byte === V2_SIGNATURE[0]) {
      this.version = 2;
      return this.versions.v2 ? null : 'v2 header, which this listener does not take';
    }
    return 'no PROXY header';
  }

  private takeV2Byte(byte: number, index: number): string | null {
    if (index < V2_SIGNATURE.length) return byte === V2_SIGNATURE[index] ? null : 'no PROXY header';
    switch (index) {
      case 12:
        if (byte >>> 4 !== 2) return `v2 signature with version ${byte >>> 4}`;
        return (byte & 0x0f) > 1 ? `v2 command ${byte & 0x0f} is unassigned` : null;
      case 13:
        if ((this.buffer[12]! & 0x0f) === COMMAND_LOCAL) return null;
        if (byte >>> 4 > FAMILY_UNIX) return `v2 address family ${byte >>> 4} is unassigned`;
        return (byte & 0x0f) > 2 ? `v2 transport ${byte & 0x0f} is unassigned` : null;
      case 15: {
        const announced = uint16(this.buffer, 14);
        if (announced > PROXY_V2_MAX_LENGTH) return `v2 header of ${announced} bytes is longer than the limit`;
        this.total = V2_FIXED_LENGTH + announced;
        if (this.total > this.buffer.length) {
          const grown = new Uint8Array(this.total);
          grown.set(this.buffer.subarray(0, V2_FIXED_LENGTH));
          this.buffer = grown;
        }
        return null;
      }
      default:
        return null;
    }
  }
}

function failure(cause: string): ProxyError {
  return { kind: 'error', cause };
}

function emptyHeader(version: 1 | 2, consumed: number): Mutable<ProxyHeader> {
  return {
    kind: 'done',
    consumed,
    version,
    local: false,
    sourceAddress: null,
    sourcePort: null,
    destinationAddress: null,
    destinationPort: null,
    tls: null,
    alpn: null,
    authority: null,
    uniqueId: null,
  };
}

/** v1: `PROXY TCP4|TCP6 SOURCE DESTINATION SPORT DPORT`, single spaces; or `PROXY UNKNOWN` and anything. */
function parseLine(bytes: Uint8Array, length: number, consumed: number): ProxyResult {
  const header = emptyHeader(1, consumed);
  const line = String.fromCharCode(...bytes.subarray(0, length - 2));
  const [, family, source, destination, sourcePort, destinationPort, ...rest] = line.split(' ');
  if (family === 'UNKNOWN') return header;
  if (family !== 'TCP4' && family !== 'TCP6') return failure('v1 line with an unknown protocol');
  if (source === undefined || destination === undefined || rest.length > 0) return failure('malformed v1 line');
  const parseAddress = family === 'TCP4' ? parseIpv4 : parseIpv6;
  header.sourceAddress = parseAddress(source);
  header.destinationAddress = parseAddress(destination);
  if (header.sourceAddress === null || header.destinationAddress === null) {
    return failure(`v1 line with an address that is not ${family}`);
  }
  header.sourcePort = parsePort(sourcePort);
  header.destinationPort = parsePort(destinationPort);
  if (header.sourcePort === null || header.destinationPort === null) return failure('v1 line with a malformed port');
  return header;
}

function parsePort(text: string | undefined): number | null {
  if (text === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(text)) return null;
  const port = Number(text);
  return port <= 65535 ? port : null;
}

/** The text itself, which has no second spelling. */
function parseIpv4(text: string): string | null {
  return ipv4Bytes(text) === null ? null : text;
}

function ipv4Bytes(text: string): number[] | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes: number[] = [];
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes.push(Number(part));
  }
  return bytes;
}

/** RFC 4291 section 2.2, also with a dotted tail, which proxies print for mapped addresses. */
function parseIpv6(text: string): string | null {
  const halves = text.split('::');
  const [left, right] = halves;
  if (left === undefined || halves.length > 2) return null;
  const head = left === '' && right !== undefined ? [] : ipv6Groups(left, right === undefined);
  const tail = right === undefined || right === '' ? [] : ipv6Groups(right, true);
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 1) return null;
  return formatIpv6([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function ipv6Groups(text: string, mayEndDotted: boolean): number[] | null {
  const parts = text.split(':');
  const groups: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      const dotted = mayEndDotted && i === parts.length - 1 ? ipv4Bytes(part) : null;
      if (dotted === null) return null;
      groups.push((dotted[0]! << 8) | dotted[1]!, (dotted[2]! << 8) | dotted[3]!);
    }
  }
  return groups;
}

/** RFC 5952: lower case, the first longest run of at least two zero groups becomes `::`, mapped IPv4 dotted. */
function formatIpv6(groups: readonly number[]): string {
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high, low] = [groups[6]!, groups[7]!];
    return `::ffff:${high >>> 8}.${high & 0xff}.${low >>> 8}.${low & 0xff}`;
  }
  let runStart = 0;
  let runLength = 0;
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > runLength) {
      runStart = i;
      runLength = end - i;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (runLength < 2) return hex.join(':');
  return `${hex.slice(0, runStart).join(':')}::${hex.slice(runStart + runLength).join(':')}`;
}

/** v2: the block after the 16 fixed bytes is source, destination, ports, TLVs. `bytes` is ours to change. */
function parseBlock(bytes: Uint8Array, total: number, consumed: number): ProxyResult {
  const header = emptyHeader(2, consumed);
  if ((bytes[12]! & 0x0f) === COMMAND_LOCAL) {
    header.local = true;
    return header;
  }
  const family = bytes[13]! >>> 4;
  const transport = bytes[13]! & 0x0f;
  if (family === 0 || transport === 0) return header;
  const addressLength = family === FAMILY_UNIX ? 108 : family === FAMILY_INET6 ? 16 : 4;
  const portLength = family === FAMILY_UNIX ? 0 : 2;
  const source = V2_FIXED_LENGTH;
  const destination = source + addressLength;
  const ports = destination + addressLength;
  const tlvs = ports + 2 * portLength;
  if (tlvs > total) return failure('v2 header too short for its addresses');
  if (transport === TRANSPORT_STREAM) {
    header.sourceAddress = formatAddress(bytes, source, family);
    header.destinationAddress = formatAddress(bytes, destination, family);
    header.sourcePort = portLength === 0 ? 0 : uint16(bytes, ports);
    header.destinationPort = portLength === 0 ? 0 : uint16(bytes, ports + 2);
  }
  const cause = parseTlvs(bytes, tlvs, total, header);
  return cause === null ? header : failure(cause);
}

function formatAddress(bytes: Uint8Array, offset: number, family: number): string {
  if (family === FAMILY_INET) return bytes.subarray(offset, offset + 4).join('.');
  if (family === FAMILY_INET6) {
    const groups: number[] = [];
    for (let i = 0; i < 16; i += 2) groups.push(uint16(bytes, offset + i));
    return formatIpv6(groups);
  }
  const abstract = bytes[offset] === 0;
  let end = offset + (abstract ? 1 : 0);
  const limit = offset + 108;
  while (end < limit && bytes[end] !== 0) end++;
  // Linux leaves the bytes of a path free: each that is not printable ASCII shows as a question mark.
  let text = '';
  for (let i = offset + (abstract ? 1 : 0); i < end; i++) {
    text += bytes[i]! > 0x20 && bytes[i]! < 0x7f ? String.fromCharCode(bytes[i]!) : '?';
  }
  return abstract && text !== '' ? `@${text}` : text;
}

/**
 * Type, two bytes of length, value. Types that mean nothing here and empty values are skipped; one that is read may
 * come once, so that no two readers of a header choose differently.
 */
function parseTlvs(bytes: Uint8Array, start: number, end: number, header: Mutable<ProxyHeader>): string | null {
  let checksum = -1;
  let tlsSeen = false;
  for (let position = start; position < end;) {
    const value = position + 3;
    if (value > end || value + uint16(bytes, position + 1) > end) return 'v2 header with a truncated TLV';
    const valueEnd = value + uint16(bytes, position + 1);
    const type = bytes[position]!;
    position = valueEnd;
    if (value === valueEnd && type !== TLV_CRC32C && type !== TLV_SSL) continue;
    switch (type) {
      case TLV_ALPN:
        if (header.alpn !== null) return 'v2 header with two ALPN values';
        header.alpn = decodeText(bytes, value, valueEnd);
        if (header.alpn === null) return 'v2 header with a malformed ALPN value';
        break;
      case TLV_AUTHORITY:
        if (header.authority !== null) return 'v2 header with two authorities';
        header.authority = decodeText(bytes, value, valueEnd);
        if (header.authority === null) return 'v2 header with a malformed authority';
        break;
      case TLV_UNIQUE_ID:
        if (header.uniqueId !== null) return 'v2 header with two unique ids';
        if (valueEnd - value > MAX_UNIQUE_ID) return 'v2 header with a unique id longer than 128 bytes';
        header.uniqueId = bytes.slice(value, valueEnd);
        break;
      case TLV_CRC32C:
        if (checksum >= 0 || valueEnd - value !== 4) return 'v2 header with a malformed checksum';
        checksum = uint16(bytes, value) * 0x1_0000 + uint16(bytes, value + 2);
        bytes.fill(0, value, valueEnd);
        break;
      case TLV_SSL: {
        if (tlsSeen) return 'v2 header with two TLS values';
        tlsSeen = true;
        const tls = parseTls(bytes, value, valueEnd);
        if (typeof tls === 'string') return tls;
        header.tls = tls;
        break;
      }
    }
  }
  return checksum >= 0 && crc32c(bytes, end) !== checksum ? 'v2 header with a wrong checksum' : null;
}

/** One byte of flags, four of the verification's result (0: valid), TLVs. Null when the client came without TLS. */
function parseTls(bytes: Uint8Array, start: number, end: number): ProxyTls | null | string {
  if (end - start < 5) return 'v2 header with a truncated TLS value';
  const flags = bytes[start]!;
  const certificatePresented = (flags & CLIENT_CERTIFICATE) !== 0;
  const result = uint16(bytes, start + 1) | uint16(bytes, start + 3);
  const tls: Mutable<ProxyTls> = {
    version: null,
    cipher: null,
    commonName: null,
    certificatePresented,
    verified: certificatePresented && result === 0,
  };
  for (let position = start + 5; position < end;) {
    const value = position + 3;
    if (value > end || value + uint16(bytes, position + 1) > end) return 'v2 header with a truncated TLV';
    const valueEnd = value + uint16(bytes, position + 1);
    const name = TLS_TEXTS.get(bytes[position]!);
    if (name !== undefined && value < valueEnd) {
      if (tls[name] !== null) return 'v2 header with a repeated TLS detail';
      tls[name] = decodeText(bytes, value, valueEnd);
      if (tls[name] === null) return 'v2 header with a malformed TLS detail';
    }
    position = valueEnd;
  }
  return (flags & CLIENT_SSL) === 0 ? null : tls;
}

const TLS_TEXTS: ReadonlyMap<number, 'version' | 'cipher' | 'commonName'> = new Map([
  [TLV_SSL_VERSION, 'version'],
  [TLV_SSL_CIPHER, 'cipher'],
  [TLV_SSL_COMMON_NAME, 'commonName'],
]);

/** Null for what is not UTF-8 and for control characters, which no name or log line may have. */
function decodeText(bytes: Uint8Array, start: number, end: number): string | null {
  for (let i = start; i < end; i++) if (bytes[i]! < 0x20 || bytes[i] === 0x7f) return null;
  try {
    return utf8.decode(bytes.subarray(start, end));
  } catch {
    return null;
  }
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

const CRC32C_TABLE = makeCrc32cTable();

/** Castagnoli's polynomial, bits reversed. */
function makeCrc32cTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    table[i] = crc;
  }
  return table;
}

/** RFC 4960 appendix B over `bytes[0, end)`, as an unsigned number. */
function crc32c(bytes: Uint8Array, end: number): number {
  let crc = 0xffffffff;
  for (let i = 0; i < end; i++) crc = (crc >>> 8) ^ CRC32C_TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
