import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTENING = '0A';

/** Inodes of the sockets that listen on a TCP port, from /proc/net/tcp and tcp6. */
function listeningInodes(port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      continue; // not Linux, or no IPv6: what the other file says is enough
    }
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] === LISTENING && fields[1]?.endsWith(`:${wanted}`) === true) inodes.add(fields[9]!);
    }
  }
  return inodes;
}

function holdsOne(pid: string, inodes: ReadonlySet<string>): boolean {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return false; // ended meanwhile, or another user's
  }
  for (const name of names) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return true;
    } catch {
      continue; // closed meanwhile
    }
  }
  return false;
}

/** The most likely holder is a broker that was started before, whose file name is only that of its runtime. */
function programName(pid: string): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  if (words.some((word) => word.endsWith('/src/cli/main.ts'))) return 'martlet';
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

/**
 * The program that listens on a TCP port of this machine, such as `mosquitto (process 312)`; null where that can't be
 * known: not on Linux, or a process of another user.
 */
export function describePortHolder(port: number): string | null {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return null;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (!holdsOne(pid, inodes)) continue;
    try {
      return `${programName(pid)} (process ${pid})`;
    } catch {
      return null; // it ended just now
    }
  }
  return null;
}
