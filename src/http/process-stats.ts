import { readdirSync, readFileSync, statSync } from 'node:fs';

/** Counting open files by listing them is for processes with few; see `openFiles`. */
const LARGEST_LISTING = 10_000;

export interface ProcessStats {
  readonly residentBytes: number;
  /** User and system time since the process started. */
  readonly cpuSeconds: number;
  /** Null where the system does not tell, or telling would cost too much. */
  readonly openFiles: number | null;
  /** Soft limit; null where there is none or the system does not tell. */
  readonly openFilesLimit: number | null;
  /** Seconds since 1970. */
  readonly startedAtSeconds: number;
}

/** @param atLeastOpen how many files are known to be open, such as connections */
export function readProcessStats(atLeastOpen: number): ProcessStats {
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    openFiles: openFiles(atLeastOpen),
    openFilesLimit: openFilesLimit(),
    startedAtSeconds: performance.timeOrigin / 1_000,
  };
}

/** Linux 6.2 and later tell the number as the size of the folder. Before, a listing would stop the loop for a second per million. */
function openFiles(atLeastOpen: number): number | null {
  try {
    const { size } = statSync('/proc/self/fd');
    if (size > 0) return size;
    return atLeastOpen > LARGEST_LISTING ? null : readdirSync('/proc/self/fd').length;
  } catch {
    return null; // not Linux
  }
}

function openFilesLimit(): number | null {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined || soft === 'unlimited' ? null : Number(soft);
  } catch {
    return null; // not Linux
  }
}
