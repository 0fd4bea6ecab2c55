// Changes to the text of a password file. Lines that are not concerned stay as they are, byte for byte.
import { splitUserLine } from '../auth/password-file.ts';

/** A line that is none of a user, and neither blank nor a comment. Nothing of it is shown: it may be a password. */
export class CorruptPasswordFile extends Error {
  override readonly name = 'CorruptPasswordFile';
  readonly line: number;

  constructor(line: number) {
    super(`line ${line} of the password file is corrupt`);
    this.line = line;
  }
}

interface Line {
  /** With its line end, one character a byte. */
  readonly text: string;
  /** Null for comments and blank lines. */
  readonly user: { readonly name: string; readonly hashText: string } | null;
}

/** @throws CorruptPasswordFile */
function parseLines(source: Uint8Array): Line[] {
  const lines: Line[] = [];
  // Of a text in Latin-1 each character is a byte, so that whatever stands there is kept.
  for (const text of Buffer.from(source)
    .toString('latin1')
    .match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const user = splitUserLine(text);
    const isNoUser = text.startsWith('#') || /^[ \t\v\f\r\n]*$/.test(text);
    if (user === null ? !isNoUser : user.name === '' || user.hashText === '') {
      throw new CorruptPasswordFile(lines.length + 1);
    }
    lines.push({ text, user });
  }
  return lines;
}

function toBytes(texts: readonly string[]): Uint8Array {
  return Buffer.from(texts.join(''), 'latin1');
}

const asLatin1 = (name: string): string => Buffer.from(name, 'utf8').toString('latin1');

export interface Edited {
  readonly bytes: Uint8Array;
  /** Whether the user had a line. */
  readonly isFound: boolean;
}

/**
 * Gives a user another hash, on the first line of that name or on a new one at the end.
 *
 * @throws CorruptPasswordFile
 */
export function setUser(source: Uint8Array, name: string, hashText: string): Edited {
  const wanted = asLatin1(name);
  const lines = parseLines(source);
  const texts = lines.map(({ text }) => text);
  const at = lines.findIndex(({ user }) => user?.name === wanted);
  const line = `${wanted}:${hashText}\n`;
  if (at >= 0) texts[at] = line;
  else {
    const last = texts.at(-1);
    if (last !== undefined && !last.endsWith('\n')) texts.push('\n');
    texts.push(line);
  }
  return { bytes: toBytes(texts), isFound: at >= 0 };
}

/**
 * Takes out all lines of a user.
 *
 * @throws CorruptPasswordFile
 */
export function removeUser(source: Uint8Array, name: string): Edited {
  const wanted = asLatin1(name);
  const lines = parseLines(source);
  const kept = lines.filter(({ user }) => user?.name !== wanted);
  return { bytes: toBytes(kept.map(({ text }) => text)), isFound: kept.length < lines.length };
}

/**
 * Puts a hash in the place of each password that stands there in plain text.
 *
 * @param hash null leaves the line as it is
 * @throws CorruptPasswordFile before anything is hashed
 */
export async function hashUsers(
  source: Uint8Array,
  hash: (password: Uint8Array, line: number) => Promise<string | null>,
): Promise<{ bytes: Uint8Array; userCount: number }> {
  const texts: string[] = [];
  let userCount = 0;
  let number = 0;
  for (const { text, user } of parseLines(source)) {
    number++;
    if (user === null) {
      texts.push(text);
      continue;
    }
    userCount++;
    const hashText = await hash(Buffer.from(user.hashText, 'latin1'), number);
    texts.push(hashText === null ? text : `${user.name}:${hashText}\n`);
  }
  return { bytes: toBytes(texts), userCount };
}
