import { getDiffieHellman } from 'node:crypto';

/** Parameters in PEM: a sequence of the prime and the generator (PKCS #3). Of a prime of its own, it is not one. */
export function dhParameters(group: 'modp14' | 'modp15' | { primeBytes: number }): string {
  const prime = typeof group === 'string' ? getDiffieHellman(group).getPrime() : Buffer.alloc(group.primeBytes, 0xff);
  const numbers = [prime, Buffer.from([2])].map((bytes) => element(0x02, unsigned(bytes)));
  const base64 = element(0x30, Buffer.concat(numbers)).toString('base64');
  return `-----BEGIN DH PARAMETERS-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END DH PARAMETERS-----\n`;
}

function unsigned(bytes: Buffer): Buffer {
  return bytes[0]! < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes]);
}

function element(type: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [type, length] : [type, 0x82, length >>> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}
