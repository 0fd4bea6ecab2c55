// JSON as `martlet sub` prints it: member by member, in the order and layout of cJSON, which Mosquitto's clients use.
import type { CommandOutput } from './client-io.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const shortEscapes = new Map<number, string>([
  [QUOTE, '\\"'],
  [BACKSLASH, '\\\\'],
  [0x08, '\\b'],
  [0x0c, '\\f'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
]);

/** Writes JSON piece by piece. Names may repeat, since user properties may. */
export class JsonWriter {
  private readonly output: CommandOutput;
  private readonly pretty: boolean;
  /** Of open objects and arrays: members so far. */
  private readonly counts: number[] = [];
  private readonly isArray: boolean[] = [];
  private followsName = false;

  constructor(output: CommandOutput, pretty: boolean) {
    this.output = output;
    this.pretty = pretty;
  }

  beginObject(): void {
    this.beforeValue();
    this.output.write(this.pretty ? '{\n' : '{');
    this.counts.push(0);
    this.isArray.push(false);
  }

  endObject(): void {
    const members = this.counts.pop()!;
    this.isArray.pop();
    if (this.pretty) this.output.write(`${members > 0 ? '\n' : ''}${'\t'.repeat(this.counts.length)}`);
    this.output.write('}');
  }

  beginArray(): void {
    this.beforeValue();
    this.output.write('[');
    this.counts.push(0);
    this.isArray.push(true);
  }

  endArray(): void {
    this.counts.pop();
    this.isArray.pop();
    this.output.write(']');
  }

  name(text: string): void {
    const depth = this.counts.length;
    if (this.counts[depth - 1]!++ > 0) this.output.write(this.pretty ? ',\n' : ',');
    if (this.pretty) this.output.write('\t'.repeat(depth));
    this.writeString(text);
    this.output.write(this.pretty ? ':\t' : ':');
    this.followsName = true;
  }

  /** Text that is JSON already, such as a number. */
  literal(text: string): void {
    this.beforeValue();
    this.output.write(text);
  }

  string(text: string): void {
    this.beforeValue();
    this.writeString(text);
  }

  /** `bytes[start, end)` as a string; bytes that are not UTF-8 go out as they are. */
  stringOfBytes(bytes: Uint8Array, start: number, end: number): void {
    this.beforeValue();
    this.output.write('"');
    let from = start;
    for (let i = start; i < end; i++) {
      const byte = bytes[i]!;
      if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) continue;
      if (from < i) this.output.writeBytes(bytes, from, i);
      this.output.write(escape(byte));
      from = i + 1;
    }
    if (from < end) this.output.writeBytes(bytes, from, end);
    this.output.write('"');
  }

  private writeString(text: string): void {
    let escaped = '"';
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      escaped += code < 0x20 || code === QUOTE || code === BACKSLASH ? escape(code) : text[i];
    }
    this.output.write(`${escaped}"`);
  }

  private beforeValue(): void {
    if (this.followsName) {
      this.followsName = false;
      return;
    }
    const depth = this.counts.length;
    if (depth > 0 && this.counts[depth - 1]!++ > 0) this.output.write(this.pretty ? ', ' : ',');
  }
}

function escape(code: number): string {
  return shortEscapes.get(code) ?? `\\u${code.toString(16).padStart(4, '0')}`;
}

const token = /[{}[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}[\],:"]+/g;

/**
 * Writes JSON text anew. `JSON.parse` and `JSON.stringify` would not do: they merge repeated names and reorder those that
 * are numbers.
 *
 * @param text valid JSON
 */
export function rewriteJson(text: string, writer: JsonWriter): void {
  const tokens = text.match(token) ?? [];
  const open: string[] = [];
  let expectsName = false;
  for (const one of tokens) {
    switch (one) {
      case '{':
        writer.beginObject();
        open.push(one);
        expectsName = true;
        break;
      case '[':
        writer.beginArray();
        open.push(one);
        expectsName = false;
        break;
      case '}':
        writer.endObject();
        open.pop();
        break;
      case ']':
        writer.endArray();
        open.pop();
        break;
      case ',':
        expectsName = open.at(-1) === '{';
        break;
      case ':':
        expectsName = false;
        break;
      default:
        if (!one.startsWith('"')) writer.literal(/^[-\d]/.test(one) ? formatNumber(Number(one)) : one);
        else if (expectsName) writer.name(JSON.parse(one) as string);
        else writer.string(JSON.parse(one) as string);
    }
  }
}

/** As cJSON prints a number: integers of 32 bits plainly, others as `%1.15g`, or `%1.17g` where that loses something. */
export function formatNumber(value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) return String(value);
  const short = formatG(value, 15);
  return Number(short) === value ? short : formatG(value, 17);
}

/** C's `%.{precision}g`. */
function formatG(value: number, precision: number): string {
  const [mantissa = '', exponentText = '0'] = value.toExponential(precision - 1).split('e');
  const exponent = Number(exponentText);
  const trimmed = (digits: string) => (digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits);
  if (exponent >= -4 && exponent < precision) return trimmed(value.toFixed(Math.max(0, precision - 1 - exponent)));
  const sign = exponent < 0 ? '-' : '+';
  return `${trimmed(mantissa)}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
