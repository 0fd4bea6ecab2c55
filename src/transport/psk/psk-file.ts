// `psk_file`: the identities and pre-shared keys of TLS-PSK clients, read as Mosquitto reads them.
import { readFileSync, statSync } from 'node:fs';
import { fileLines, trimBlanks } from '../../auth/file-lines.ts';
import { ConfigError, type ConfigProblem, quoted } from '../../config/config-error.ts';

/** Bytes of the longest key that TLS libraries take. */
export const MAX_KEY_BYTES = 512;
/** Bytes of the longest identity that they take. */
export const MAX_IDENTITY_BYTES = 256;

export interface PskFile {
  /** Keys in bytes, by identity; none is empty. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
  /** Lines that give nobody a key. */
  readonly warnings: readonly ConfigProblem[];
}

/**
 * Reads lines of `IDENTITY:HEXKEY`. White space around both is dropped, `#` in the first column begins a comment, colons
 * in a row count as one, and what follows a third field is dropped, as is a line without a colon. An identity that comes
 * again keeps its first key. No message shows a key.
 *
 * @param file its name, for messages
 * @throws ConfigError with all that is wrong: a key that is not hexadecimal or too long, an identity that is no text
 */
export function parsePskFile(source: Uint8Array | string, file: string): PskFile {
  const keys = new Map<string, Uint8Array>();
  const warnings: ConfigProblem[] = [];
  const problems: ConfigProblem[] = [];
  for (const { number, text, problem } of fileLines(source)) {
    const refuse = (what: string) => void problems.push({ file, line: number, text: what });
    const warn = (what: string) => void warnings.push({ file, line: number, text: what });
    if (text.startsWith('#')) continue;
    if (problem !== null) {
      refuse(problem);
      continue;
    }
    if (trimBlanks(text) === '') continue;
    if (!text.includes(':')) {
      warn('is ignored: expected IDENTITY:HEXKEY');
      continue;
    }
    const [first = '', second = ''] = text.split(':').filter((field) => field !== '');
    const identity = trimBlanks(first);
    const hex = trimBlanks(second);
    if (identity === '') {
      warn('is ignored: the identity is empty');
    } else if (!/^[0-9A-Fa-f]*$/.test(hex)) {
      refuse(`psk for identity ${quoted(identity)} contains non-hexadecimal characters`);
    } else if (hasControls(identity)) {
      refuse(`identity ${quoted(identity)} contains control characters`);
    } else if (keys.has(identity)) {
      warn(`is ignored: identity ${quoted(identity)} has a key already`);
    } else {
      const key = keyFromHex(hex);
      if (key.length > MAX_KEY_BYTES) {
        refuse(`psk for identity ${quoted(identity)} is longer than ${MAX_KEY_BYTES} bytes`);
      } else if (key.length === 0) {
        warn(`is ignored: empty psk for identity ${quoted(identity)}`);
      } else if (Buffer.byteLength(identity) > MAX_IDENTITY_BYTES) {
        warn(`is ignored: identity ${quoted(identity)} is longer than ${MAX_IDENTITY_BYTES} bytes`);
      } else {
        keys.set(identity, key);
      }
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { keys, warnings };
}

/** @throws ConfigError where it cannot be read either */
export function readPskFile(path: string): PskFile {
  let bytes: Uint8Array;
  let mode: number;
  try {
    bytes = readFileSync(path);
    ({ mode } = statSync(path));
  } catch (error) {
    throw new ConfigError([{ file: path, line: null, text: `cannot be read: ${(error as Error).message}` }]);
  }
  const parsed = parsePskFile(bytes, path);
  if ((mode & 0o004) === 0) return parsed;
  const warning = { file: path, line: null, text: 'can be read by everybody on this machine: chmod 600 is safer' };
  return { keys: parsed.keys, warnings: [...parsed.warnings, warning] };
}

/** Neither a user name in MQTT nor a PROXY header may have them. */
function hasControls(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}

/**
 * Hexadecimal digits as Mosquitto's server and clients read them: a byte of zero for each leading pair `00`, then the
 * rest as one number in as few bytes as hold it. So `0ab` is the one byte AB, and digits may be odd in number.
 */
export function keyFromHex(hex: string): Uint8Array {
  let zeros = 0;
  while (hex.startsWith('00', 2 * zeros)) zeros++;
  let start = 0;
  while (hex[start] === '0') start++;
  const digits = hex.slice(start);
  const even = digits.length % 2 === 0 ? digits : `0${digits}`;
  return Uint8Array.from([...new Uint8Array(zeros), ...Buffer.from(even, 'hex')]);
}
