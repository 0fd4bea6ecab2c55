// Hashes of passwords in the formats of Mosquitto's password files: making, reading, writing and checking them.
import * as crypto from 'node:crypto';

export const HashKind = { sha512: 'sha512', pbkdf2: 'sha512-pbkdf2', argon2id: 'argon2id' } as const;
export type HashKind = (typeof HashKind)[keyof typeof HashKind];

interface Digest {
  readonly salt: Uint8Array;
  readonly digest: Uint8Array;
}

/** SHA-512 over password and salt: `$6$SALT$DIGEST`, of Mosquitto 1.6 and before. */
export interface Sha512Hash extends Digest {
  readonly kind: typeof HashKind.sha512;
}

/** PBKDF2 with HMAC-SHA-512: `$7$ITERATIONS$SALT$DIGEST`. */
export interface Pbkdf2Hash extends Digest {
  readonly kind: typeof HashKind.pbkdf2;
  readonly iterations: number;
}

/** Argon2id, version 19: `$argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$DIGEST`. */
export interface Argon2idHash extends Digest {
  readonly kind: typeof HashKind.argon2id;
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

export type PasswordHash = Sha512Hash | Pbkdf2Hash | Argon2idHash;

const SHA512_BYTES = 64;
/** What Mosquitto 2.0 writes, and the only length it reads; 2.1 reads it too. */
const SALT_BYTES = 12;
/** What Mosquitto 2.1 writes, and only it can read. */
const ARGON2ID_BYTES = 64;
const ARGON2ID_COST = { memoryKib: 47_104, passes: 1, lanes: 1 };
/** As Mosquitto 2.1 (2.0: 101). */
export const DEFAULT_ITERATIONS = 1_000;

/** node:crypto of Bun and of Node.js 24.7 has it, the type declarations of Node.js 20 do not. */
interface Argon2Parameters {
  readonly message: Uint8Array;
  readonly nonce: Uint8Array;
  readonly parallelism: number;
  readonly tagLength: number;
  readonly memory: number;
  readonly passes: number;
}
type Argon2Callback = (error: Error | null, digest: Uint8Array) => void;
const { argon2 } = crypto as unknown as {
  argon2(algorithm: 'argon2id', parameters: Argon2Parameters, callback: Argon2Callback): void;
};

/** Why a hash cannot be read. It never holds any of the text: that may be a password. */
export class PasswordHashError extends Error {
  override readonly name = 'PasswordHashError';
}

/** @throws PasswordHashError */
export function parsePasswordHash(text: string): PasswordHash {
  if (text.startsWith('$argon2id$')) return parseArgon2id(text);
  const [kind, ...fields] = text.split('$').filter((field) => field !== '');
  if (text.startsWith('$6$') && kind === '6') {
    return { kind: HashKind.sha512, ...parseSha512Digest(fields) };
  }
  if (text.startsWith('$7$') && kind === '7') {
    const [iterations = '', ...rest] = fields;
    // C's atoi: digits lead, and what follows them does not count.
    const count = Number(/^\d+/.exec(iterations)?.[0] ?? 0);
    if (count < 1 || count > 0x7fff_ffff) throw new PasswordHashError('the number of iterations is not 1 or more');
    return { kind: HashKind.pbkdf2, iterations: count, ...parseSha512Digest(rest) };
  }
  throw new PasswordHashError(
    'the password is not hashed in a format known here ($7$, $argon2id$ or $6$); martlet passwd -U hashes plain ones',
  );
}

function parseSha512Digest([saltText = '', digestText = '']: readonly string[]): Digest {
  const salt = parseBase64(saltText, 'salt');
  const digest = parseBase64(digestText, 'hash');
  if (salt.length > SHA512_BYTES) throw new PasswordHashError('the salt is too long');
  if (digest.length !== SHA512_BYTES) throw new PasswordHashError(`the hash has ${digest.length} bytes, not 64`);
  return { salt, digest };
}

/** The limits of RFC 9106 section 3.1, but for memory: 4 GiB here. */
function parseArgon2id(text: string): Argon2idHash {
  const match = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,8}),p=(\d{1,8})\$([^$]+)\$([^$]+)$/.exec(text);
  if (match === null) {
    throw new PasswordHashError('expected $argon2id$v=19$m=MEMORY,t=PASSES,p=LANES$SALT$HASH');
  }
  const [memoryKib, passes, lanes] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const salt = parseBase64(match[4]!, 'salt');
  const digest = parseBase64(match[5]!, 'hash');
  if (passes < 1 || lanes < 1 || lanes > 0xff_ffff || memoryKib < 8 * lanes || memoryKib > 4 * 1024 * 1024) {
    throw new PasswordHashError('m, t or p of argon2id is out of range');
  }
  if (salt.length < 8) throw new PasswordHashError('the salt is too short');
  if (digest.length < 4) throw new PasswordHashError('the hash is too short');
  return { kind: HashKind.argon2id, memoryKib, passes, lanes, salt, digest };
}

function parseBase64(text: string, what: string): Uint8Array {
  if (text === '') throw new PasswordHashError(`the ${what} is missing`);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.replace(/=+$/, '').length % 4 === 1) {
    throw new PasswordHashError(`the ${what} is not base64`);
  }
  return Buffer.from(text, 'base64');
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const toBareBase64 = (bytes: Uint8Array): string => toBase64(bytes).replace(/=+$/, '');

/** The text behind `USER:` in a password file. */
export function formatPasswordHash(hash: PasswordHash): string {
  switch (hash.kind) {
    case HashKind.sha512:
      return `$6$${toBase64(hash.salt)}$${toBase64(hash.digest)}`;
    case HashKind.pbkdf2:
      return `$7$${hash.iterations}$${toBase64(hash.salt)}$${toBase64(hash.digest)}`;
    case HashKind.argon2id: {
      const { memoryKib, passes, lanes, salt, digest } = hash;
      return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${toBareBase64(salt)}$${toBareBase64(digest)}`;
    }
  }
}

/** About how long a check takes, in milliseconds, as measured on one core of a server of 2024. */
export function checkCostMs(hash: PasswordHash): number {
  switch (hash.kind) {
    case HashKind.sha512:
      return 0.003;
    case HashKind.pbkdf2:
      return 0.02 + 0.0006 * hash.iterations;
    case HashKind.argon2id:
      return 0.1 + 0.00075 * hash.memoryKib * hash.passes;
  }
}

/** Checks on this thread, in constant time for what is equal. */
export function checkPasswordNow(hash: Sha512Hash | Pbkdf2Hash, password: Uint8Array): boolean {
  return crypto.timingSafeEqual(digestNow(hash, password), hash.digest);
}

function digestNow(hash: Sha512Hash | Pbkdf2Hash, password: Uint8Array): Uint8Array {
  return hash.kind === HashKind.sha512
    ? crypto.createHash('sha512').update(password).update(hash.salt).digest()
    : crypto.pbkdf2Sync(password, hash.salt, hash.iterations, SHA512_BYTES, 'sha512');
}

/** Checks on a thread of the pool. Rejects where memory is short. */
export async function checkPassword(hash: PasswordHash, password: Uint8Array): Promise<boolean> {
  return crypto.timingSafeEqual(await digestOf(hash, password), hash.digest);
}

function digestOf(hash: PasswordHash, password: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const done = (error: Error | null, digest: Uint8Array) => (error === null ? resolve(digest) : reject(error));
  switch (hash.kind) {
    case HashKind.sha512:
      resolve(digestNow(hash, password));
      break;
    case HashKind.pbkdf2:
      crypto.pbkdf2(password, hash.salt, hash.iterations, SHA512_BYTES, 'sha512', done);
      break;
    case HashKind.argon2id:
      argon2(
        'argon2id',
        {
          message: password,
          nonce: hash.salt,
          parallelism: hash.lanes,
          tagLength: hash.digest.length,
          memory: hash.memoryKib,
          passes: hash.passes,
        },
        done,
      );
  }
  return promise;
}

/** Makes a hash with a new salt. Mosquitto 2.0 reads the SHA-512 kinds, 2.1 all. */
export async function hashPassword(
  password: Uint8Array,
  kind: HashKind,
  iterations = DEFAULT_ITERATIONS,
): Promise<PasswordHash> {
  const salt = crypto.randomBytes(kind === HashKind.argon2id ? ARGON2ID_BYTES : SALT_BYTES);
  const blank = withoutDigest(kind, salt, iterations);
  return { ...blank, digest: await digestOf(blank, password) };
}

function withoutDigest(kind: HashKind, salt: Uint8Array, iterations: number): PasswordHash {
  switch (kind) {
    case HashKind.sha512:
      return { kind, salt, digest: new Uint8Array(SHA512_BYTES) };
    case HashKind.pbkdf2:
      return { kind, salt, iterations, digest: new Uint8Array(SHA512_BYTES) };
    case HashKind.argon2id:
      return { kind, salt, ...ARGON2ID_COST, digest: new Uint8Array(ARGON2ID_BYTES) };
  }
}
