import { expect, test } from 'bun:test';
import { cpuSecondsBetween, parseStat, processTree, readCpu, rssBytes } from './proc.ts';

test('parses a stat line whose command name holds blanks and brackets', () => {
  const line = '42 (odd) name) S 7 42 42 0 -1 4194560 10 0 0 0 125 17 0 0 20 0 1 0 99 1 1';
  expect(parseStat(line)).toEqual({ parent: 7, cpuTicks: 142 });
});

test('takes scheduler figures, and process accounting only where a thread has ended meanwhile', () => {
  const before = { scheduledNs: 1_000_000_000, accountedNs: 1_000_000_000 };
  expect(cpuSecondsBetween(before, { scheduledNs: 1_512_345_678, accountedNs: 1_520_000_000 })).toBe(0.512345678);
  expect(cpuSecondsBetween(before, { scheduledNs: 1_100_000_000, accountedNs: 1_520_000_000 })).toBe(0.52);
});

test('counts the CPU and memory of a child together with its parent', async () => {
  const child = Bun.spawn(['sh', '-c', 'sleep 30 & echo started; wait'], { stdout: 'pipe' });
  try {
    await child.stdout.getReader().read();
    expect(processTree(child.pid).length).toBe(2);
    expect(processTree(process.pid)).toContain(child.pid);
    expect(rssBytes(child.pid)).toBeGreaterThan(0);
    expect(readCpu(process.pid).scheduledNs).toBeGreaterThan(0);
  } finally {
    for (const pid of processTree(child.pid)) process.kill(pid, 'SIGKILL');
    await child.exited;
  }
});
