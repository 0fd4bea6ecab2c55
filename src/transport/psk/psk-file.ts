// `psk_file`: the identities and pre-shared keys of TLS-PSK clients, read as Mosquitto reads them.
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { fileLines } from '../../auth/file-lines.ts';
import { splitUserLine } from '../../auth/password-file.ts';
import { ConfigError, type ConfigProblem, quoted } from '../../config/config-error.ts';
import { systemErrorText } from '../../config/parse-config.ts';

/** Bytes of the longest key that TLS libraries take. */
export const MAX_KEY_BYTES = 512;
/** Bytes of the longest identity that they take. */
export const MAX_IDENTITY_BYTES = 256;

export interface PskFile {
  /** Keys in bytes, by identity; none is empty. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
  /** For the log: lines that give nobody a key, and a file that others can read. */
  readonly warnings: readonly ConfigProblem[];
}

/**
 * Reads lines of `IDENTITY:HEXKEY`, taken apart as those of a `password_file`. An identity that comes again keeps its
 * first key, and a line that is no text gives nobody one. No message shows a key.
 *
 * @param file its name, for messages
 * @throws ConfigError with all that is wrong: a key that is not hexadecimal or too long, an identity that is not printable
 */
export function parsePskFile(source: Uint8Array | string, file: string): PskFile {
  const keys = new Map<string, Uint8Array>();
  const warnings: ConfigProblem[] = [];
  const problems: ConfigProblem[] = [];
  for (const { number, text, problem } of fileLines(source)) {
    const refuse = (what: string) => void problems.push({ file, line: number, text: what });
    const ignore = (why: string) => void warnings.push({ file, line: number, text: `${why}; the line is ignored` });
    if (problem !== null) {
      ignore(problem);
      continue;
    }
    const fields = splitUserLine(text);
    if (fields === null) continue;
    const { name: identity, hashText: hex } = fields;
    if (identity === '') ignore('the identity is empty');
    else if (!/^[0-9A-Fa-f]*$/.test(hex)) {
      refuse(`psk for identity ${quoted(identity)} contains non-hexadecimal characters`);
    } else if (hasControls(identity)) refuse(`identity ${quoted(identity)} contains control characters`);
    else if (keys.has(identity)) ignore(`identity ${quoted(identity)} has a line above`);
    else {
      const key = keyFromHex(hex);
      if (key.length > MAX_KEY_BYTES) {
        refuse(`psk for identity ${quoted(identity)} is longer than ${MAX_KEY_BYTES} bytes`);
      } else if (key.length === 0) ignore(`empty psk for identity ${quoted(identity)}`);
      else if (Buffer.byteLength(identity) > MAX_IDENTITY_BYTES) {
        ignore(`identity ${quoted(identity)} is longer than ${MAX_IDENTITY_BYTES} bytes`);
      } else keys.set(identity, key);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { keys, warnings };
}

/** @throws ConfigError, also where it cannot be read */
export function readPskFile(path: string): PskFile {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(path, 'r');
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new ConfigError([{ file: path, line: null, text: 'psk_file is not a file' }]);
    const { keys, warnings } = parsePskFile(readFileSync(descriptor), path);
    if ((stats.mode & 0o007) === 0) return { keys, warnings };
    const text = `File ${path} has world readable permissions. To fix this, use \`chmod 0600 ${path}\`.`;
    return { keys, warnings: [{ file: path, line: null, text }, ...warnings] };
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([{ file: path, line: null, text: `psk_file cannot be read: ${systemErrorText(error)}` }]);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
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
  return Buffer.concat([new Uint8Array(zeros), Buffer.from(even, 'hex')]);
}
