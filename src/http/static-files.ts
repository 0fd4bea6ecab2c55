// Files of one folder, for browsers.
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.gif': 'image/gif',
  '.htm': 'text/html; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
  '.xml': 'application/xml',
};

export interface StaticFile {
  readonly contentType: string;
  readonly bytes: number;
  /** Of the opened file, whatever becomes of its name. */
  stream(): ReadableStream<Uint8Array>;
  close(): Promise<void>;
}

/**
 * The regular file of a URL path; a path that ends in a slash is that of its `index.html`. Links may lead to other places
 * in the folder, and to none outside of it.
 *
 * @param root the folder as `realpath` gives it
 * @param path decoded, begins with a slash
 * @returns null where there is no such file, or it cannot be read
 */
export async function openStaticFile(root: string, path: string): Promise<StaticFile | null> {
  if (path.includes('\0')) return null;
  let file: FileHandle | null = null;
  try {
    const real = await realpath(join(root, path.endsWith('/') ? `${path}index.html` : path));
    if (!isWithin(root, real)) return null;
    // Not blocking: the name of a pipe would else wait for a writer.
    file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    const stat = await file.stat();
    if (!stat.isFile()) {
      await file.close();
      return null;
    }
    return new OpenedFile(file, types[extname(real).toLowerCase()] ?? 'application/octet-stream', stat.size);
  } catch {
    await file?.close().catch(() => {});
    return null;
  }
}

function isWithin(root: string, path: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}

const CHUNK_BYTES = 64 * 1024;

class OpenedFile implements StaticFile {
  readonly contentType: string;
  readonly bytes: number;
  private readonly file: FileHandle;
  private left: number;

  constructor(file: FileHandle, contentType: string, bytes: number) {
    this.file = file;
    this.contentType = contentType;
    this.bytes = bytes;
    this.left = bytes;
  }

  /** Never more than `bytes`, even if the file grows meanwhile. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const chunk = new Uint8Array(Math.min(CHUNK_BYTES, this.left));
        const { bytesRead } = await this.file.read(chunk, 0, chunk.length, this.bytes - this.left);
        this.left -= bytesRead;
        if (bytesRead > 0) controller.enqueue(chunk.subarray(0, bytesRead));
        if (bytesRead > 0 && this.left > 0) return;
        await this.close();
        controller.close();
      },
      cancel: () => this.close(),
    });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
