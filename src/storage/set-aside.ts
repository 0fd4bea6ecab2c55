import { existsSync, renameSync } from 'node:fs';

/** What stands beside a database. */
const companions = ['-wal', '-shm', '-journal'];

/**
 * Gives a damaged file and its companions a name that nothing has: `NAME.corrupt-20250131T235959`, in UTC.
 *
 * @returns the new name
 * @throws a system error
 */
export function setAside(path: string, now: Date): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').slice(0, 15);
  let target = `${path}.corrupt-${stamp}`;
  for (let i = 2; existsSync(target); i++) target = `${path}.corrupt-${stamp}-${i}`;
  // The file first: without its log it would look whole and lack what was written last.
  for (const suffix of ['', ...companions]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
  }
  return target;
}
