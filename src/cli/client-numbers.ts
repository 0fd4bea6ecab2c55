// Numbers and hexadecimal digits as C's printf and Mosquitto's clients print them.
import type { FormatPiece } from './client-format.ts';

type Parameter = Extract<FormatPiece, { kind: 'parameter' }>;

/** C's `%.{precision}f`: the exact value, rounded half to even. */
export function formatF(value: number, precision: number): string {
  if (Number.isNaN(value)) return 'nan';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (!Number.isFinite(value)) return `${sign}inf`;
  // value = mantissa * 2 ** exponent, both whole numbers
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, Math.abs(value));
  const high = bits.getUint32(0);
  const isNormal = high >>> 20 !== 0;
  const fraction = (BigInt(high & 0xfffff) << 32n) | BigInt(bits.getUint32(4));
  const mantissa = isNormal ? fraction | (1n << 52n) : fraction;
  const exponent = (isNormal ? high >>> 20 : 1) - 1075;
  const scaled = mantissa * 10n ** BigInt(precision);
  const digits = exponent >= 0 ? scaled << BigInt(exponent) : divideRounded(scaled, 1n << BigInt(-exponent));
  const text = digits.toString().padStart(precision + 1, '0');
  return precision === 0 ? sign + text : `${sign}${text.slice(0, -precision)}.${text.slice(-precision)}`;
}

function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const twice = (dividend % divisor) * 2n;
  if (twice < divisor || (twice === divisor && quotient % 2n === 0n)) return quotient;
  return quotient + 1n;
}

/** Zeros go between sign and digits. */
export function padWithZeros(text: string, width: number): string {
  const sign = text.startsWith('-') ? '-' : '';
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}

/**
 * `%.2x`: a separator behind each `precision` digits, those of the padding counted, except at the end. A width counts
 * digits without separators.
 */
export function separatedHex(piece: Parameter, payload: Uint8Array): string {
  const hex = payload.toHex();
  const digits = piece.code === 'x' ? hex : hex.toUpperCase();
  const missing = Math.max(0, piece.width - digits.length);
  const padded = piece.leftAligned ? digits : (piece.zeroPadded ? '0' : ' ').repeat(missing) + digits;
  let text = '';
  for (let i = 0; i < padded.length; i += piece.precision) {
    text += (i === 0 ? '' : piece.separator) + padded.slice(i, i + piece.precision);
  }
  return piece.leftAligned ? text + ' '.repeat(missing) : text;
}
