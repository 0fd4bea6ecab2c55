// `dhparamfile` for the helper of a PSK listener. Node.js goes on without DHE where it cannot read the parameters, and
// says nothing, so they are looked at here.
import { readFileSync } from 'node:fs';
import { systemErrorText } from '../../config/parse-config.ts';
import { CertificateError } from '../listener.ts';

/** What the TLS library takes at least. */
const MIN_PRIME_BITS = 1_024;
const SEQUENCE = 0x30;
const INTEGER = 0x02;

/**
 * The parameters of a file in PEM, which may hold other things too.
 *
 * @throws CertificateError
 */
export function readDhParameters(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    throw new CertificateError(`Unable to load dhparamfile "${path}": ${systemErrorText(error)}.`, { cause: error });
  }
  const block = /-----BEGIN ((?:X9\.42 )?DH PARAMETERS)-----([A-Za-z0-9+/=\s]+)-----END \1-----/.exec(text);
  const bits = block === null ? 0 : primeBits(Buffer.from(block[2]!, 'base64'));
  if (bits === 0) throw new CertificateError(`Unable to load dhparamfile "${path}": it holds no DH parameters in PEM.`);
  if (bits < MIN_PRIME_BITS) {
    throw new CertificateError(
      `Unable to load dhparamfile "${path}": a prime of ${bits} bits is too short, expected ${MIN_PRIME_BITS} or more.`,
    );
  }
  return `${block![0]}\n`;
}

/** Length of the prime, which comes first in the sequence (PKCS #3), and 0 where this is none. */
function primeBits(der: Uint8Array): number {
  const sequence = readElement(der, 0, SEQUENCE);
  const prime = sequence === null ? null : readElement(der, sequence.start, INTEGER);
  const generator = prime === null ? null : readElement(der, prime.end, INTEGER);
  if (prime === null || generator === null || generator.end > sequence!.end) return 0;
  let { start } = prime;
  while (start < prime.end && der[start] === 0) start++;
  return start === prime.end ? 0 : (prime.end - start) * 8 - (Math.clz32(der[start]!) - 24);
}

/** Where the content of a DER element lies; null where it is of another type or does not end in time. */
function readElement(der: Uint8Array, offset: number, type: number): { start: number; end: number } | null {
  if (der[offset] !== type) return null;
  let length = der[offset + 1] ?? der.length;
  let start = offset + 2;
  if (length >= 0x80) {
    const bytes = length & 0x7f;
    if (bytes === 0 || bytes > 3) return null;
    length = 0;
    for (const end = start + bytes; start < end; start++) length = length * 256 + (der[start] ?? 0);
  }
  const end = start + length;
  return end <= der.length ? { start, end } : null;
}
