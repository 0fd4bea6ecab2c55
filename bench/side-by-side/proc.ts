/**
 * What Linux accounts to processes: CPU time, resident memory, machine load. A broker may be started by a wrapper or
 * have workers, so every figure is the sum over the process and its descendants.
 */
import { readFileSync, readdirSync } from 'node:fs';

/** Clock ticks a second of /proc/PID/stat, fixed by the kernel's interface to user space. */
const ticksPerSecond = 100;

/** Null where the process or thread ended meanwhile. */
function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Fields of /proc/PID/stat after the command name, which may itself hold blanks and brackets; [0] is the state. */
export function parseStat(text: string): { parent: number; cpuTicks: number } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), cpuTicks: Number(fields[11]) + Number(fields[12]) };
}

export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readProc(`/proc/${name}/stat`);
    if (stat === null) continue;
    const { parent } = parseStat(stat);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i] ?? 0) ?? []));
  return tree;
}

export interface CpuReading {
  /** Sum of what the scheduler ran, over the threads that live now. */
  scheduledNs: number;
  /** utime + stime, ended threads included, in steps of 10 ms a process. */
  accountedNs: number;
}

export function readCpu(root: number): CpuReading {
  let scheduledNs = 0;
  let accountedNs = 0;
  for (const pid of processTree(root)) {
    const stat = readProc(`/proc/${pid}/stat`);
    if (stat === null) continue;
    accountedNs += (parseStat(stat).cpuTicks * 1e9) / ticksPerSecond;
    let threads: string[] = [];
    try {
      threads = readdirSync(`/proc/${pid}/task`);
    } catch {
      continue;
    }
    for (const thread of threads) {
      const schedule = readProc(`/proc/${pid}/task/${thread}/schedstat`);
      if (schedule !== null) scheduledNs += Number(schedule.split(' ')[0]);
    }
  }
  return { scheduledNs, accountedNs };
}

/**
 * CPU seconds between two readings: nanosecond figures of the scheduler, unless a thread ended in between and took its
 * share with it, which shows as process accounting that is ahead by more than its own step.
 */
export function cpuSecondsBetween(before: CpuReading, after: CpuReading): number {
  const scheduled = after.scheduledNs - before.scheduledNs;
  const accounted = after.accountedNs - before.accountedNs;
  const step = 1e9 / ticksPerSecond;
  return (accounted - scheduled > 3 * step ? accounted : scheduled) / 1e9;
}

export function rssBytes(root: number): number {
  let kibibytes = 0;
  for (const pid of processTree(root)) {
    const exact = /^Rss:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/smaps_rollup`) ?? '');
    const coarse = exact ?? /^VmRSS:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/status`) ?? '');
    kibibytes += Number(coarse?.[1] ?? 0);
  }
  return kibibytes * 1024;
}

/** RSS once it has moved by less than 0.5 % for a second, or after `limitSeconds`: collectors work when idle. */
export async function settledRssBytes(root: number, limitSeconds: number): Promise<number> {
  const deadline = Date.now() + limitSeconds * 1000;
  let last = rssBytes(root);
  while (Date.now() < deadline) {
    await Bun.sleep(Math.min(1_000, limitSeconds * 500));
    const now = rssBytes(root);
    if (Math.abs(now - last) < last * 0.005) return now;
    last = now;
  }
  return last;
}

/** CPU seconds that ran anything but idle, over all cores, since boot. Steal is work of other machines: it counts. */
export function machineBusySeconds(): number {
  const line = (readProc('/proc/stat') ?? '').split('\n', 1)[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = line.trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + steal) / ticksPerSecond;
}

export interface MachineLoad {
  cores: number;
  /** Share of one core that was busy during the sample. */
  busyCores: number;
  loadAverage: number;
}

export async function sampleMachineLoad(sampleMs: number): Promise<MachineLoad> {
  const busy = machineBusySeconds();
  await Bun.sleep(sampleMs);
  return {
    cores: navigator.hardwareConcurrency,
    busyCores: ((machineBusySeconds() - busy) * 1000) / sampleMs,
    loadAverage: Number((readProc('/proc/loadavg') ?? '0').split(' ')[0]),
  };
}

export function cpuModel(): string {
  const model = /^model name\s*:\s*(.+)$/m.exec(readProc('/proc/cpuinfo') ?? '')?.[1] ?? 'unknown';
  return `${model} x ${navigator.hardwareConcurrency}`;
}

/** Soft limit of open files, inherited by children. */
export function openFileLimit(): number {
  const value = /^Max open files\s+(\S+)/m.exec(readProc('/proc/self/limits') ?? '')?.[1];
  return value === undefined || value === 'unlimited' ? Infinity : Number(value);
}
