// A reader of DER (X.690), the encoding of certificates and revocation lists. It refuses what DER forbids where that
// could hide something: indefinite lengths, lengths in more bytes than needed, elements that end beyond their parent.

/** Tags as they stand in the identifier byte: class and constructed bit included. */
export const DerTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[number]` of a SEQUENCE or a CHOICE, constructed or primitive. */
export function contextTag(number: number, isConstructed: boolean): number {
  return 0x80 | (isConstructed ? 0x20 : 0) | number;
}

/** Bytes are not what they should be; the message says so in one line. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One element: `bytes[start, end)` with its header, `bytes[contentStart, end)` without. */
export class DerElement {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
  readonly tag: number;

  constructor(bytes: Uint8Array, start: number, contentStart: number, end: number) {
    this.bytes = bytes;
    this.start = start;
    this.contentStart = contentStart;
    this.end = end;
    this.tag = bytes[start]!;
  }

  get content(): Uint8Array {
    return this.bytes.subarray(this.contentStart, this.end);
  }

  /** The element with its header. */
  get encoded(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }

  /** @throws DerError where the element has another tag */
  expect(tag: number): this {
    if (this.tag !== tag) throw new DerError(`tag ${hex(this.tag)} where ${hex(tag)} is expected`);
    return this;
  }

  /** The elements inside of it. */
  reader(): DerReader {
    return new DerReader(this.bytes, this.contentStart, this.end);
  }

  children(): DerElement[] {
    const all: DerElement[] = [];
    for (const reader = this.reader(); !reader.isAtEnd;) all.push(reader.next());
    return all;
  }

  /** A number that fits, such as a version or a path length. */
  smallInteger(): number {
    this.expect(DerTag.integer);
    const { content } = this;
    if (content.length === 0 || content.length > 4 || content[0]! >= 0x80) {
      throw new DerError('a number that is out of range');
    }
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  /** A serial number, as hexadecimal digits without leading zeros. */
  integerHex(): string {
    this.expect(DerTag.integer);
    return Buffer.from(this.content)
      .toString('hex')
      .replace(/^0+(?=.)/, '');
  }

  boolean(): boolean {
    return this.expect(DerTag.boolean).content[0] !== 0;
  }

  /** `2.5.4.3`. */
  objectIdentifier(): string {
    const { content } = this.expect(DerTag.objectIdentifier);
    const arcs: bigint[] = [];
    let arc = 0n;
    for (let i = 0; i < content.length; i++) {
      arc = arc * 128n + BigInt(content[i]! & 0x7f);
      if (content[i]! >= 0x80) continue;
      if (arcs.length > 0) arcs.push(arc);
      else {
        const first = arc < 80n ? arc / 40n : 2n;
        arcs.push(first, arc - first * 40n);
      }
      arc = 0n;
    }
    if (arcs.length === 0 || content.at(-1)! >= 0x80) throw new DerError('an object identifier that is cut short');
    return arcs.join('.');
  }

  /** The whole bytes of a BIT STRING. */
  bits(): Uint8Array {
    const { content } = this.expect(DerTag.bitString);
    if (content.length === 0 || content[0]! > 7) throw new DerError('a malformed bit string');
    return content.subarray(1);
  }

  /** UTCTime or GeneralizedTime in the form of RFC 5280 section 4.1.2.5, as milliseconds since 1970. */
  timeMs(): number {
    const isUtc = this.tag === DerTag.utcTime;
    if (!isUtc) this.expect(DerTag.generalizedTime);
    const text = Buffer.from(this.content).toString('latin1');
    const match = (isUtc ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(
      text,
    );
    if (match === null) throw new DerError('a malformed time');
    const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const fullYear = isUtc ? year + (year < 50 ? 2000 : 1900) : year;
    const ms = Date.UTC(fullYear, month - 1, day, hour, minute, second);
    const isReal = month >= 1 && month <= 12 && day >= 1 && new Date(ms).getUTCDate() === day;
    if (!isReal || hour > 23 || minute > 59 || second > 59) throw new DerError('a malformed time');
    return ms;
  }
}

/** Walks over the elements of `bytes[start, end)`. */
export class DerReader {
  private readonly bytes: Uint8Array;
  private position: number;
  private readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.position === this.end;
  }

  /** Tag of the next element; -1 at the end. */
  get nextTag(): number {
    return this.isAtEnd ? -1 : this.bytes[this.position]!;
  }

  /** @throws DerError where there is none, or it is malformed */
  next(): DerElement {
    const { bytes, position: start, end: limit } = this;
    if (start + 2 > limit) throw new DerError('an element is missing or cut short');
    if ((bytes[start]! & 0x1f) === 0x1f) throw new DerError('a tag of several bytes');
    let length = bytes[start + 1]!;
    let contentStart = start + 2;
    if (length >= 0x80) {
      const count = length - 0x80;
      if (count === 0 || count > 4 || contentStart + count > limit) throw new DerError('a malformed length');
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + bytes[contentStart++]!;
      if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('a length in more bytes than needed');
    }
    const end = contentStart + length;
    if (end > limit) throw new DerError('an element that ends beyond its parent');
    this.position = end;
    return new DerElement(bytes, start, contentStart, end);
  }

  /** The next element where it has the tag, else null. */
  optional(tag: number): DerElement | null {
    return this.nextTag === tag ? this.next() : null;
  }

  /** @throws DerError where something follows */
  finish(): void {
    if (!this.isAtEnd) throw new DerError('more than expected');
  }
}

/** The one element that `bytes` are. */
export function parseDer(bytes: Uint8Array): DerElement {
  const reader = new DerReader(bytes);
  const element = reader.next();
  reader.finish();
  return element;
}

export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
