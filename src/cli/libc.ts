// The C library, for the little that the runtime has no way to.
import type { FFIFunction } from 'bun:ffi';

/**
 * Functions of the C library, under the names that it has on Linux: glibc, then musl. Loaded on demand: it takes a few
 * milliseconds.
 *
 * @throws Error where there is none, or it lacks one of them
 */
export async function openLibc<const T extends Record<string, FFIFunction>>(functions: T) {
  const { dlopen } = await import('bun:ffi');
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  try {
    return dlopen('libc.so.6', functions);
  } catch {
    return dlopen(`libc.musl-${machine}.so.1`, functions);
  }
}
