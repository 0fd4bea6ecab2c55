// Hot path of `martlet sub`: message -> standard output. Measured by `martlet sub` against a flood.
import type { IncomingMessage } from '../client/incoming-message.ts';
import type { Properties } from '../protocol/properties.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import type { FormatPiece, MessageFormat } from './client-format.ts';
import type { CommandOutput } from './client-io.ts';
import { formatF, padWithZeros, separatedHex } from './client-numbers.ts';
import { JsonWriter, rewriteJson } from './client-json.ts';
import { strftime } from '../log/strftime.ts';

export interface PrinterOptions {
  readonly verbose: boolean;
  /** Null for payload, or topic and payload. */
  readonly format: MessageFormat | null;
  readonly endOfLine: boolean;
  readonly pretty: boolean;
}

type Parameter = Extract<FormatPiece, { kind: 'parameter' }>;

/** Milliseconds since 1970, with a fraction. */
export type WallClock = () => number;

export const systemWallClock: WallClock = () => performance.timeOrigin + performance.now();

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });
const HEX_LOWER = encodeUtf8('0123456789abcdef');
const HEX_UPPER = encodeUtf8('0123456789ABCDEF');
const noBytes = new Uint8Array(0);

/** Names of properties in JSON. */
const jsonNames: Partial<Record<keyof Properties, string>> = {
  payloadFormatIndicator: 'payload-format-indicator',
  messageExpiryInterval: 'message-expiry-interval',
  contentType: 'content-type',
  responseTopic: 'response-topic',
  correlationData: 'correlation-data',
  subscriptionIdentifiers: 'subscription-identifier',
  topicAlias: 'topic-alias',
  userProperties: 'user-properties',
};

/** Prints messages as `mosquitto_sub` does. */
export class MessagePrinter {
  private readonly options: PrinterOptions;
  private readonly output: CommandOutput;
  private readonly reportError: (message: string) => void;
  private readonly wallClock: WallClock;
  /** The time of the message in hand. */
  private nowMs = 0;
  private properties: Properties | null = null;
  private hex = new Uint8Array(256);
  /** `@c` and the like change once a second: what was printed last, and for which second. */
  private isoSecond = -1;
  private isoText = '';

  constructor(
    options: PrinterOptions,
    output: CommandOutput,
    reportError: (message: string) => void,
    wallClock: WallClock = systemWallClock,
  ) {
    this.options = options;
    this.output = output;
    this.reportError = reportError;
    this.wallClock = wallClock;
  }

  print(message: IncomingMessage): void {
    const { output } = this;
    const { format, verbose, endOfLine } = this.options;
    if (format !== null) {
      this.printFormatted(format, message);
      if (endOfLine) output.write('\n');
      return;
    }
    const isEmpty = message.payloadLength === 0;
    if (verbose) {
      output.writeBytes(message.topicBytes, message.topicStart, message.topicEnd);
      output.write(isEmpty ? ' (null)' : ' ');
    } else if (isEmpty) return;
    output.writeBytes(message.bytes, message.payloadStart, message.payloadEnd);
    if (endOfLine) output.write('\n');
  }

  private printFormatted(format: MessageFormat, message: IncomingMessage): void {
    this.nowMs = this.wallClock();
    this.properties = message.properties;
    for (const piece of format) {
      if (piece.kind === 'text') this.output.writeBytes(piece.bytes, 0, piece.bytes.length);
      else if (piece.kind === 'time') this.output.write(this.time(piece.code));
      else this.printParameter(piece, message);
    }
  }

  private time(code: string): string {
    if (code === 'N') return this.nanoseconds();
    return strftime(code, new Date(this.nowMs));
  }

  /** Of the present second. */
  private nanoseconds(): string {
    const nanoseconds = Math.floor((this.nowMs % 1_000) * 1e6);
    return String(nanoseconds).padStart(9, '0');
  }

  private printParameter(piece: Parameter, message: IncomingMessage): void {
    const { properties, output } = this;
    switch (piece.code) {
      case 't':
        return this.printText(piece, message.topicBytes, message.topicStart, message.topicEnd);
      case 'p':
        return this.printPayload(piece, message);
      case 'x':
      case 'X':
        return this.printHex(piece, message);
      case 'f':
      case 'd':
        return this.printFloat(piece, message);
      case 'q':
        return output.write(String(message.qos));
      case 'r':
        return output.write(message.retain ? '1' : '0');
      case 'l':
        return this.printNumber(piece, message.payloadLength);
      case 'm':
        return this.printNumber(piece, message.packetId);
      case 'A':
        return this.printNumber(piece, properties?.topicAlias);
      case 'E':
        return this.printNumber(piece, properties?.messageExpiryInterval);
      case 'F':
        return this.printNumber(piece, properties?.payloadFormatIndicator);
      case 'S':
        return this.printNumber(piece, properties?.subscriptionIdentifiers?.[0]);
      case 'C':
        return this.printString(piece, properties?.contentType);
      case 'R':
        // Where there is none, Mosquitto leaves the width out as well.
        if (properties?.responseTopic !== undefined) this.printString(piece, properties.responseTopic);
        return;
      case 'D': {
        const data = properties?.correlationData ?? noBytes;
        return output.writeBytes(data, 0, data.length);
      }
      case 'P':
        return output.write((properties?.userProperties ?? []).map(([name, value]) => `${name}:${value}`).join(' '));
      case 'I':
        return this.printString(piece, `${this.isoLocal()}${strftime('z', new Date(this.nowMs))}`);
      case 'U':
        return output.write(`${Math.floor(this.nowMs / 1_000)}.${this.nanoseconds()}`);
      case 'j':
        return this.printJson(message, null);
      case 'J':
        return this.printJsonOfJson(message);
    }
  }

  /** `2026-11-24T15:02:07`. */
  private isoLocal(): string {
    const second = Math.floor(this.nowMs / 1_000);
    if (second !== this.isoSecond) {
      const date = new Date(this.nowMs);
      this.isoSecond = second;
      this.isoText = `${strftime('F', date)}T${strftime('T', date)}`;
    }
    return this.isoText;
  }

  private printString(piece: Parameter, text: string | undefined): void {
    const bytes = encodeUtf8(text ?? '');
    this.printText(piece, bytes, 0, bytes.length);
  }

  private printText(piece: Parameter, bytes: Uint8Array, start: number, end: number): void {
    const length = piece.precision < 0 ? end - start : Math.min(end - start, piece.precision);
    const padding = ' '.repeat(Math.max(0, piece.width - length));
    if (!piece.leftAligned) this.output.write(padding);
    this.output.writeBytes(bytes, start, start + length);
    if (piece.leftAligned) this.output.write(padding);
  }

  private printNumber(piece: Parameter, value: number | undefined): void {
    const text = value === undefined ? '' : String(value);
    if (piece.leftAligned) this.output.write(text.padEnd(piece.width));
    else this.output.write(text.padStart(piece.width, piece.zeroPadded ? '0' : ' '));
  }

  /** A width cuts the payload, too: so does Mosquitto. */
  private printPayload(piece: Parameter, message: IncomingMessage): void {
    const { payloadStart, payloadLength, bytes } = message;
    const length = piece.width > 0 ? Math.min(payloadLength, piece.width) : payloadLength;
    this.padLeft(piece, length);
    this.output.writeBytes(bytes, payloadStart, payloadStart + length);
    this.padRight(piece, length);
  }

  /** A width cuts the payload to so many bytes, and pads what is printed of it to so many digits: so does Mosquitto. */
  private printHex(piece: Parameter, message: IncomingMessage): void {
    const { payloadStart, payloadLength, bytes } = message;
    const length = piece.width > 0 ? Math.min(payloadLength, piece.width) : payloadLength;
    if (piece.precision > 0) {
      this.output.write(separatedHex(piece, bytes.subarray(payloadStart, payloadStart + length)));
      return;
    }
    if (this.hex.length < length * 2) this.hex = new Uint8Array(length * 2);
    const digits = piece.code === 'x' ? HEX_LOWER : HEX_UPPER;
    for (let i = 0; i < length; i++) {
      const byte = bytes[payloadStart + i]!;
      this.hex[2 * i] = digits[byte >> 4]!;
      this.hex[2 * i + 1] = digits[byte & 15]!;
    }
    this.padLeft(piece, length * 2);
    this.output.writeBytes(this.hex, 0, length * 2);
    this.padRight(piece, length * 2);
  }

  /** The payload as it lies in the memory of the publisher: little-endian, as that of almost everybody is. */
  private printFloat(piece: Parameter, message: IncomingMessage): void {
    const { payloadStart, payloadLength, bytes } = message;
    const size = piece.code === 'f' ? 4 : 8;
    if (payloadLength !== size) {
      const what = piece.code === 'f' ? 'float printing, but non-float data' : 'double printing, but non-double data';
      this.reportError(`Error: requested ${what} received: ${payloadLength} bytes instead of ${size}.`);
      return;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset + payloadStart, size);
    const value = size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
    const text = formatF(value, piece.precision < 0 ? 6 : piece.precision);
    const isFinite = Number.isFinite(value);
    if (piece.leftAligned) this.output.write(text.padEnd(piece.width));
    else if (!piece.zeroPadded || !isFinite) this.output.write(text.padStart(piece.width));
    else this.output.write(padWithZeros(text, piece.width));
  }

  private padLeft(piece: Parameter, length: number): void {
    if (piece.leftAligned || piece.width <= length) return;
    this.output.write((piece.zeroPadded ? '0' : ' ').repeat(piece.width - length));
  }

  private padRight(piece: Parameter, length: number): void {
    if (piece.leftAligned && piece.width > length) this.output.write(' '.repeat(piece.width - length));
  }

  private printJsonOfJson(message: IncomingMessage): void {
    const payload = message.bytes.subarray(message.payloadStart, message.payloadEnd);
    if (payload.length === 0) return this.printJson(message, null);
    const text = validJson(payload);
    if (text !== null) this.printJson(message, text);
    else this.reportError(`Error: Message payload is not valid JSON on topic ${message.topicName}.`);
  }

  /** @param payload JSON text to print as it is; null: the payload as a string */
  private printJson(message: IncomingMessage, payload: string | null): void {
    const writer = new JsonWriter(this.output, this.options.pretty);
    const microseconds = Math.floor((this.nowMs % 1_000) * 1e3);
    const zone = strftime('z', new Date(this.nowMs));
    writer.beginObject();
    writer.name('tst');
    writer.string(`${this.isoLocal()}.${String(microseconds).padStart(6, '0')}${zone}`);
    writer.name('topic');
    writer.stringOfBytes(message.topicBytes, message.topicStart, message.topicEnd);
    writer.name('qos');
    writer.literal(String(message.qos));
    writer.name('retain');
    writer.literal(message.retain ? '1' : '0');
    writer.name('payloadlen');
    writer.literal(String(message.payloadLength));
    if (message.qos > 0) {
      writer.name('mid');
      writer.literal(String(message.packetId));
    }
    if (this.properties !== null) this.printProperties(writer, this.properties);
    writer.name('payload');
    if (payload !== null) rewriteJson(payload, writer);
    else if (message.payloadLength === 0) writer.literal('null');
    else writer.stringOfBytes(message.bytes, message.payloadStart, message.payloadEnd);
    writer.endObject();
  }

  private printProperties(writer: JsonWriter, properties: Properties): void {
    writer.name('properties');
    writer.beginObject();
    for (const field of Object.keys(properties) as (keyof Properties)[]) {
      const name = jsonNames[field];
      const value = properties[field];
      if (name === undefined || value === undefined) continue;
      if (field === 'subscriptionIdentifiers') {
        for (const identifier of properties.subscriptionIdentifiers ?? []) {
          writer.name(name);
          writer.literal(String(identifier));
        }
        continue;
      }
      writer.name(name);
      if (typeof value === 'number') writer.literal(String(value));
      else if (typeof value === 'string') writer.string(value);
      else if (value instanceof Uint8Array) writer.stringOfBytes(value, 0, value.length);
      else {
        writer.beginObject();
        for (const [key, text] of properties.userProperties ?? []) {
          writer.name(key);
          writer.string(text);
        }
        writer.endObject();
      }
    }
    writer.endObject();
  }
}

/** The text of a payload that is JSON, or null. */
function validJson(payload: Uint8Array): string | null {
  try {
    const text = strictUtf8.decode(payload);
    JSON.parse(text);
    return text;
  } catch {
    return null;
  }
}
