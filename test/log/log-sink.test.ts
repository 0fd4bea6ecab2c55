// Where log lines go when nobody takes them: they wait up to a bound, are counted above it, and never hold anybody up.

import { describe, expect, test } from 'bun:test';
import { LogSink, type SinkOptions, type WriteFunction } from '../../src/log/log-sink.ts';

type Done = (error: NodeJS.ErrnoException | null, written: number) => void;

/** A descriptor that takes bytes when the test says so. */
class Taker {
  readonly texts: string[] = [];
  readonly fds: number[] = [];
  private under: { bytes: Uint8Array; offset: number; length: number; done: Done } | null = null;
  private onWrite: (() => void) | null = null;

  readonly write: WriteFunction = (fd, bytes, offset, length, done) => {
    expect(this.under).toBeNull();
    this.fds.push(fd);
    this.under = { bytes, offset, length, done };
    this.onWrite?.();
  };

  get isUnderWay(): boolean {
    return this.under !== null;
  }

  /** Resolves once a write is under way. */
  async asked(): Promise<void> {
    if (this.under !== null) return;
    await new Promise<void>((resolve) => {
      this.onWrite = resolve;
    });
    this.onWrite = null;
  }

  take(most = Number.POSITIVE_INFINITY): void {
    const { bytes, offset, length, done } = this.under!;
    this.under = null;
    const taken = Math.min(length, most);
    this.texts.push(Buffer.from(bytes.buffer, bytes.byteOffset + offset, taken).toString());
    done(null, taken);
  }

  fail(code: string): void {
    const { done } = this.under!;
    this.under = null;
    done(Object.assign(new Error(code), { code }), 0);
  }
}

function sinkFor(taker: Taker, closed: number[] = [], more: Partial<SinkOptions> = {}): LogSink {
  return new LogSink(2, {
    lostLine: (count) => `lost ${count}\n`,
    closeFd: (fd) => closed.push(fd),
    write: taker.write,
    ...more,
  });
}

describe('a sink', () => {
  test('writes the lines of one turn together, and what came meanwhile after that', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    sink.add('a\n');
    sink.add('b\n');
    expect(taker.isUnderWay).toBe(false);
    await taker.asked();
    sink.add('c\n');
    sink.add('d\n');
    taker.take();
    taker.take();
    expect(taker.texts).toEqual(['a\nb\n', 'c\nd\n']);
    expect(sink.isIdle).toBe(true);
  });

  test('goes on where a write stopped half way, and tries again where there was no room', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    sink.add('hello\n');
    await taker.asked();
    taker.take(2);
    taker.fail('EAGAIN');
    await taker.asked();
    taker.take(0);
    await taker.asked();
    taker.take();
    expect(taker.texts.join('')).toBe('hello\n');
  });

  test('keeps at most 1 MiB, what is being written included, and says in its place how many lines were lost', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    const line = `${'x'.repeat(1_023)}\n`;
    sink.add('first\n');
    await taker.asked();
    for (let i = 0; i < 2_000; i++) sink.add(line);
    // Short enough to fit, but its place is behind those that were lost.
    sink.add('y\n');
    taker.take();
    sink.add('after\n');
    taker.take();
    taker.take();
    const kept = 1_023;
    expect(taker.texts).toEqual(['first\n', `${line.repeat(kept)}lost ${2_001 - kept}\n`, 'after\n']);
  });

  test('counts bytes, not characters', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    for (let i = 0; i < 1_000; i++) sink.add(`${'\u00e9'.repeat(1_023)}\n`);
    await taker.asked();
    taker.take();
    expect(Buffer.byteLength(taker.texts[0]!)).toBeLessThanOrEqual(1024 * 1024 + 'lost 1000\n'.length);
    expect(taker.texts[0]).toEndWith(`lost ${1_000 - 512}\n`);
  });

  test('gives up once its reader is gone', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    sink.add('a\n');
    await taker.asked();
    sink.add('b\n');
    taker.fail('EPIPE');
    sink.add('c\n');
    expect(sink.isIdle).toBe(true);
    await sink.flush(60_000);
    expect(taker.texts).toEqual([]);
  });

  test('counts what a full disk did not take, and goes on when it takes again', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    sink.add('a\n');
    sink.add('b\n');
    await taker.asked();
    taker.fail('ENOSPC');
    sink.add('c\n');
    await taker.asked();
    taker.take();
    expect(taker.texts).toEqual(['lost 3\n']);
    sink.add('d\n');
    await taker.asked();
    taker.take();
    expect(taker.texts).toEqual(['lost 3\n', 'd\n']);
  });

  test('adds up what is lost while a disk stays full, and tells of the trouble once each time', async () => {
    const taker = new Taker();
    const troubles: (string | undefined)[] = [];
    const sink = sinkFor(taker, [], { onTrouble: ({ code }) => troubles.push(code) });
    sink.add('a\n');
    for (const line of ['b\n', 'c\n']) {
      await taker.asked();
      taker.fail('EDQUOT');
      sink.add(line);
    }
    await taker.asked();
    taker.take();
    expect(taker.texts).toEqual(['lost 3\n']);
    expect(troubles).toEqual(['EDQUOT']);
    sink.add('d\n');
    await taker.asked();
    taker.fail('EIO');
    expect(troubles).toEqual(['EDQUOT', 'EIO']);
  });

  test('asks before each write whether it is in vain, and waits where that may pass', async () => {
    const taker = new Taker();
    let isInVain = true;
    const error = Object.assign(new Error('gone'), { code: 'ENOENT' });
    const troubles: unknown[] = [];
    const sink = sinkFor(taker, [], {
      canRecover: true,
      check: () => (isInVain ? error : null),
      onTrouble: (one) => troubles.push(one),
    });
    sink.add('a\n');
    sink.add('b\n');
    await new Promise((resolve) => setImmediate(resolve));
    expect([troubles, taker.isUnderWay]).toEqual([[error], false]);
    isInVain = false;
    await taker.asked();
    taker.take();
    expect(taker.texts).toEqual(['lost 2\n']);
  });

  test('writes what it has when it is closed, then takes no more and gives its descriptor back', async () => {
    const taker = new Taker();
    const closed: number[] = [];
    const sink = sinkFor(taker, closed);
    sink.add('a\n');
    await taker.asked();
    sink.add('b\n');
    sink.close();
    sink.add('c\n');
    taker.take();
    expect(closed).toEqual([]);
    taker.take();
    expect(closed).toEqual([2]);
    sink.close();
    expect([taker.texts, closed]).toEqual([['a\n', 'b\n'], [2]]);
  });

  test('closed while nothing can be written gives its descriptor back at once', async () => {
    const taker = new Taker();
    const closed: number[] = [];
    const sink = sinkFor(taker, closed, { canRecover: true });
    sink.add('a\n');
    await taker.asked();
    sink.close();
    taker.fail('ENOENT');
    expect([closed, sink.isIdle]).toEqual([[2], true]);
  });

  test('goes on with another descriptor behind the write that is under way, and closes the one before', async () => {
    const taker = new Taker();
    const closed: number[] = [];
    const sink = sinkFor(taker, closed);
    sink.add('old\n');
    await taker.asked();
    sink.replace(7);
    sink.replace(8);
    sink.add('new\n');
    expect(closed).toEqual([7]);
    taker.take(2);
    taker.take();
    expect(closed).toEqual([7, 2]);
    taker.take();
    sink.replace(9);
    expect(closed).toEqual([7, 2, 8]);
    expect(taker.texts).toEqual(['ol', 'd\n', 'new\n']);
    expect(taker.fds).toEqual([2, 2, 8]);
  });

  test('works again with a new descriptor after the old one failed', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    sink.add('a\n');
    await taker.asked();
    taker.fail('EBADF');
    sink.replace(7);
    sink.add('b\n');
    await taker.asked();
    taker.take();
    expect(taker.texts).toEqual(['b\n']);
    expect(taker.fds).toEqual([2, 7]);
  });
});

describe('flush', () => {
  test('waits for the last byte', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    sink.add('a\n');
    let isFlushed = false;
    const flushed = sink.flush(60_000).then(() => (isFlushed = true));
    sink.add('b\n');
    taker.take();
    await Bun.sleep(0);
    expect(isFlushed).toBe(false);
    taker.take();
    await flushed;
    expect(taker.texts).toEqual(['a\n', 'b\n']);
  });

  test('returns at once where there is nothing to wait for', async () => {
    await sinkFor(new Taker()).flush(60_000);
  });

  test('waits no longer than it is told to', async () => {
    const taker = new Taker();
    const sink = sinkFor(taker);
    sink.add('a\n');
    await sink.flush(1);
    expect(taker.isUnderWay).toBe(true);
  });
});
