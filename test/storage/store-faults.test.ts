/** Disks that are full, fail or may only be read: real ones, which a process of its own mounts or limits for itself. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Fault {
  readonly fault: string;
  readonly message: string;
}

interface FillReport {
  readonly seq: number;
  readonly failed: readonly Fault[];
  readonly before: readonly number[];
  readonly wholeBefore: boolean;
  readonly mended: Fault | null;
  readonly next: Fault | null;
  readonly after: readonly number[];
  readonly deliveries: number;
  readonly reopened: readonly number[];
  readonly wholeAfter: boolean;
}

const program = join(import.meta.dir, 'fault-child.ts');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** What gives a process a view of the mounts that goes with it; null where the system does not let us. */
const ownMounts = findOwnMounts();

function findOwnMounts(): string[] | null {
  const ways = [
    ['unshare', '-m'],
    ['unshare', '-rm'],
  ];
  for (const way of ways) {
    try {
      const probe = Bun.spawnSync([...way, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', tmpdir()]);
      if (probe.exitCode === 0) return way;
    } catch {
      return null;
    }
  }
  return null;
}

async function run(command: string[]): Promise<unknown> {
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' });
  const [out, err, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return JSON.parse(out);
}

/** Runs a scenario on a file system of 2 MiB. */
function runOnSmallDisk(scenario: string): Promise<unknown> {
  const script = 'mount -t tmpfs -o size=2m tmpfs "$2" && exec "$0" "$3" "$1" "$2"';
  return run([...ownMounts!, 'sh', '-c', script, process.execPath, scenario, folder, program]);
}

/** Runs a scenario in which writes may fail with EFBIG, without the signal that would end the process. */
function runWithLimits(scenario: string): Promise<unknown> {
  const script = 'trap "" XFSZ; exec "$0" "$3" "$1" "$2"';
  return run(['sh', '-c', script, process.execPath, scenario, folder, program]);
}

function expectRecovery(report: FillReport, fault: string): void {
  const { seq, failed, before, after } = report;
  expect(seq).toBeGreaterThan(20);
  expect(failed.map((one) => one.fault)).toEqual([fault, fault, fault]);
  expect(failed[0]!.message).toContain(join(folder, 'martlet.db'));
  // Nothing of the batch that failed, and all of those before it.
  expect(before).toEqual(Array.from({ length: seq - 1 }, (_, i) => i + 1));
  // The same batch, once there is room, with nothing else done about it.
  expect([report.mended, report.next]).toEqual([null, null]);
  expect(after).toEqual([...before, seq, seq + 1]);
  expect(report).toMatchObject({ wholeBefore: true, wholeAfter: true, deliveries: seq + 1, reopened: after });
}

describe.skipIf(ownMounts === null)('on a file system of its own', () => {
  test('a full disk fails batches, loses none that was stored, and takes the same batch once there is room', async () => {
    expectRecovery((await runOnSmallDisk('full')) as FillReport, 'full');
  }, 30_000);

  test('a store that cannot be made for want of room is made later', async () => {
    const { opened, openedLater, committed } = (await runOnSmallDisk('full at open')) as Record<string, Fault | null>;
    expect(opened).toMatchObject({ fault: 'full' });
    expect([openedLater, committed]).toEqual([null, null]);
  }, 30_000);

  test('a disk that may only be read is told as that, and hurts nothing', async () => {
    const report = (await runOnSmallDisk('read only')) as { openedNew: Fault; openedAgain: Fault; seqs: number[] };
    expect(report.openedNew).toMatchObject({ fault: 'read_only', message: expect.stringContaining('EROFS') });
    expect(report.openedAgain).toMatchObject({ fault: 'read_only', message: expect.stringContaining('martlet.db') });
    expect(report.seqs).toEqual([1]);
  }, 30_000);
});

test('writes that fail fail batches, lose none that was stored, and the same batch goes in once they succeed', async () => {
  expectRecovery((await runWithLimits('file size')) as FillReport, 'io');
}, 30_000);
