/** Runs mosquitto_passwd and `martlet passwd` on the same files. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PasswordFile } from '../../src/auth/password-file.ts';
import { checkPassword } from '../../src/auth/password-hash.ts';
import type { CommandOutput } from '../../src/cli/client-io.ts';
import { runPasswd } from '../../src/cli/passwd.ts';
import type { SecretInput } from '../../src/cli/passwd-prompt.ts';

export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

class TextOutput implements CommandOutput {
  text = '';
  readonly bufferedBytes = 0;
  readonly isBroken = false;
  onIdle: (() => void) | null = null;
  write(text: string): void {
    this.text += text;
  }
  writeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.text += new TextDecoder().decode(bytes.subarray(start, end));
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
}

export function typed(
  chunks: readonly (string | Uint8Array)[],
  isTerminal = false,
): SecretInput & { modes: boolean[] } {
  const left = chunks.map((chunk) => (typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk));
  const modes: boolean[] = [];
  return {
    isTerminal,
    modes,
    read: async () => left.shift() ?? null,
    setRaw: (isRaw) => void modes.push(isRaw),
    close: () => {},
  };
}

export async function runOurs(args: readonly string[], input: SecretInput | string = ''): Promise<Run> {
  const stdout = new TextOutput();
  const stderr = new TextOutput();
  const secrets = () => (typeof input === 'string' ? typed([input]) : input);
  const status = await runPasswd(args, { stdout, stderr, secrets });
  return { status, stdout: stdout.text, stderr: stderr.text };
}

export async function runTheirs(args: readonly string[], input = ''): Promise<Run> {
  const child = Bun.spawn(['mosquitto_passwd', ...args], {
    stdin: new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 10_000,
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

export class Folder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(files: Readonly<Record<string, string>> = {}): Promise<Folder> {
    const folder = new Folder(await mkdtemp(join(tmpdir(), 'martlet-passwd-')));
    for (const [name, text] of Object.entries(files)) await writeFile(folder.file(name), text);
    return folder;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  read(name: string): Promise<string> {
    return readFile(this.file(name), 'utf8');
  }

  async mode(name: string): Promise<string> {
    return ((await stat(this.file(name))).mode & 0o7777).toString(8);
  }

  /** The users in order, each with the first of the passwords that is right; null where the file is not there. */
  async users(name: string, passwords: readonly string[]): Promise<string[] | null> {
    const bytes = await readFile(this.file(name)).catch(() => null);
    if (bytes === null) return null;
    const { users } = PasswordFile.parse(bytes, name);
    return Promise.all(
      Array.from(users.values(), async (user) => {
        for (const password of passwords) {
          if (await checkPassword(user.hash, new TextEncoder().encode(password))) return `${user.name}:${password}`;
        }
        return `${user.name}:?`;
      }),
    );
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
