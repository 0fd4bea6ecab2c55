import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileOutput } from './client-io.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martlet-io-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a file', () => {
  test('gets all that was written, in order', async () => {
    const path = join(folder, 'all');
    const fd = openSync(path, 'w');
    const output = new FileOutput(fd);
    let expected = '';
    for (let i = 0; i < 30_000; i++) {
      const text = `${i} é ${'x'.repeat(i % 90)}\n`;
      expected += text;
      if (i % 2 === 0) output.write(text);
      else {
        const bytes = new TextEncoder().encode(`..${text}..`);
        output.writeBytes(bytes, 2, bytes.length - 2);
        bytes.fill(0);
      }
      if (i % 1_000 === 0) await Bun.sleep(0);
    }
    const large = 'y'.repeat(3_000_000);
    output.write(large);
    await output.flush();
    expect(output.bufferedBytes).toBe(0);
    closeSync(fd);
    expect(await Bun.file(path).text()).toBe(expected + large);
  });

  test('that is full: what is written leads nowhere, and nobody waits for it', async () => {
    const fd = openSync('/dev/full', 'w');
    const output = new FileOutput(fd);
    let idle = 0;
    output.onIdle = () => idle++;
    output.write('x');
    await output.flush();
    expect(output.isBroken).toBe(true);
    expect(idle).toBe(1);
    output.write('more');
    output.writeBytes(new Uint8Array(10), 0, 10);
    await output.flush();
    expect(output.bufferedBytes).toBe(0);
    closeSync(fd);
  });
});

describe('a pipe', () => {
  test('whose reader is slow holds up nobody else', async () => {
    const fifo = join(folder, 'fifo');
    await Bun.$`mkfifo ${fifo}`;
    const readerFd = openSync(fifo, 'r+');
    const fd = openSync(fifo, 'w');
    const output = new FileOutput(fd);
    const drained = new Promise<void>((resolve) => (output.onIdle = resolve));
    output.write('z'.repeat(1_000_000));
    // The event loop goes on although the pipe takes only some of it.
    for (let i = 0; i < 5; i++) await Bun.sleep(1);
    expect(output.bufferedBytes).toBeGreaterThan(0);
    const reader = Bun.spawn(['head', '-c', '1000000', fifo], { stdout: 'pipe' });
    expect((await reader.stdout.text()).length).toBe(1_000_000);
    await drained;
    expect(output.bufferedBytes).toBe(0);
    closeSync(fd);
    closeSync(readerFd);
  });

  test('that does not block is tried again', async () => {
    const fifo = join(folder, 'nonblocking');
    await Bun.$`mkfifo ${fifo}`;
    const readerFd = openSync(fifo, 'r+');
    const fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    const output = new FileOutput(fd);
    output.write('w'.repeat(2_000_000));
    await Bun.sleep(20);
    expect(output.isBroken).toBe(false);
    expect(output.bufferedBytes).toBeGreaterThan(1_000_000);
    const reader = Bun.spawn(['head', '-c', '2000000', fifo], { stdout: 'pipe' });
    await output.flush();
    expect((await reader.stdout.text()).length).toBe(2_000_000);
    expect(output.bufferedBytes).toBe(0);
    closeSync(fd);
    closeSync(readerFd);
  });
});
