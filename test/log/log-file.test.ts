// A log file on a disk or in a folder that fails, and what a reload changes.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  write,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogType } from '../../src/broker/log.ts';
import type { LogConfig } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { LogError } from '../../src/log/log-error.ts';
import { LogWriter } from '../../src/log/log-writer.ts';
import { connectTo, Running } from '../cli/run-martlet.ts';
import { until } from '../support/server.ts';

setDefaultTimeout(30_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-log-file-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function logConfig(...lines: string[]): LogConfig {
  return parseConfig(['log_timestamp false', ...lines].join('\n'), 'log.conf').config.log;
}

const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
const openDescriptors = () => readdirSync('/proc/self/fd').length;

describe('a log file', () => {
  test('that is deleted is made again', async () => {
    const path = join(folder, 'deleted.log');
    const log = new LogWriter(logConfig(`log_dest file ${path}`));
    log.log(LogType.notice, 'one');
    await log.flush();
    rmSync(path);
    log.log(LogType.notice, 'two');
    await log.flush();
    expect(read(path)).toBe('two\n');
  });

  test('that is moved away is written to until it is reopened', async () => {
    const [path, moved] = [join(folder, 'moving.log'), join(folder, 'moved.log')];
    const log = new LogWriter(logConfig(`log_dest file ${path}`));
    log.log(LogType.notice, 'one');
    await log.flush();
    renameSync(path, moved);
    log.log(LogType.notice, 'two');
    await log.flush();
    expect(log.reopen()).toBe(path);
    log.log(LogType.notice, 'three');
    await log.flush();
    expect([read(moved), read(path)]).toEqual(['one\ntwo\n', 'three\n']);
  });

  test('whose folder is deleted is told of on stderr once, and goes on with a count when the folder is back', async () => {
    const place = join(folder, 'place');
    mkdirSync(place);
    const path = join(place, 'm.log');
    const told: string[] = [];
    const log = new LogWriter(logConfig(`log_dest file ${path}`), {
      write(fd, bytes, offset, length, done) {
        const text = Buffer.from(bytes.subarray(offset, offset + length)).toString();
        if (!text.includes('cannot be written')) return write(fd, bytes, offset, length, done);
        told.push(text);
        done(null, length);
      },
    });
    rmSync(place, { recursive: true });
    for (const text of ['one', 'two', 'three']) {
      log.log(LogType.notice, text);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(told).toEqual([
      `Warning: log file ${path} cannot be written: no such file or directory. ` +
        'Lines are dropped and counted until it can.\n',
    ]);
    mkdirSync(place);
    await until('a line', () => read(path) !== '');
    log.log(LogType.notice, 'four');
    await until('the next line', () => read(path).endsWith('four\n'));
    expect(read(path)).toBe('Warning: 3 lines of this log lost: they could not be written.\nfour\n');
    expect(told).toHaveLength(1);
  });
});

test('a full disk: the broker lives, says so on stderr once, and serves', async () => {
  const file = join(folder, 'full.conf');
  const lines = ['listener 0 127.0.0.1', 'allow_anonymous true', 'log_dest file /dev/full', 'log_type all'];
  writeFileSync(file, `${lines.join('\n')}\n`);
  await using broker = new Running(['broker', '-c', file]);
  await broker.output('stderr', /^Warning: log file \/dev\/full cannot be written: no space left on device\. .*\n/);
  // Its port is known to the system alone.
  const port = await until('a port', () => listeningPort(broker.child.pid));
  for (const clientId of ['a', 'b', 'c']) expect((await connectTo(port, clientId)).connack).toBe('20020000');
  expect(await broker.end('SIGTERM')).toBe(0);
  expect(broker.stderr.match(/cannot be written/g)).toHaveLength(1);
});

/** The first port of IPv4 that a process listens on; null: none yet. */
function listeningPort(pid: number): number | null {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state === '0A' && sockets.has(inode ?? '')) return Number.parseInt(local!.split(':')[1]!, 16);
  }
  return null;
}

describe('another configuration', () => {
  test('changes types, format and timestamps', async () => {
    const path = join(folder, 'changed.log');
    const log = new LogWriter(logConfig(`log_dest file ${path}`));
    log.log(LogType.debug, 'one');
    log.log(LogType.notice, 'two');
    log.reconfigure(logConfig(`log_dest file ${path}`, 'log_type debug', 'log_format json'));
    expect(log.types).toBe(LogType.debug);
    log.log(LogType.debug, 'three');
    log.log(LogType.notice, 'four');
    await log.flush();
    expect(read(path)).toBe('two\n{"level":"debug","message":"three"}\n');
  });

  test('opens another file, and gives the one before back when all is written', async () => {
    const [first, second] = [join(folder, 'first.log'), join(folder, 'second.log')];
    const log = new LogWriter(logConfig(`log_dest file ${first}`));
    log.log(LogType.notice, 'one');
    await log.flush();
    const before = openDescriptors();
    log.log(LogType.notice, 'two');
    log.reconfigure(logConfig(`log_dest file ${second}`));
    log.log(LogType.notice, 'three');
    await log.flush();
    expect([read(first), read(second), openDescriptors()]).toEqual(['one\ntwo\n', 'three\n', before]);
  });

  test('opens a file of the same name anew', async () => {
    const [path, moved] = [join(folder, 'same.log'), join(folder, 'same.log.1')];
    const log = new LogWriter(logConfig(`log_dest file ${path}`));
    log.log(LogType.notice, 'one');
    await log.flush();
    renameSync(path, moved);
    log.reconfigure(logConfig(`log_dest file ${path}`));
    log.log(LogType.notice, 'two');
    await log.flush();
    expect([read(moved), read(path)]).toEqual(['one\n', 'two\n']);
  });

  test('adds and takes away streams, and keeps those that stay', async () => {
    const written: string[] = [];
    const log = new LogWriter(logConfig('log_dest stdout'), {
      write(fd, _bytes, _offset, length, done) {
        written.push(`${fd}`);
        done(null, length);
      },
    });
    const count = async () => {
      written.length = 0;
      log.log(LogType.notice, 'x');
      await log.flush();
      return written.length;
    };
    expect(await count()).toBe(1);
    const [stdout] = written;
    log.reconfigure(logConfig('log_dest stdout', 'log_dest stderr'));
    expect(await count()).toBe(2);
    expect(written).toContain(stdout!);
    log.reconfigure(logConfig('log_dest none'));
    expect([await count(), log.types]).toEqual([0, 0]);
  });

  test('that cannot be had leaves all as it was', async () => {
    const path = join(folder, 'kept.log');
    const log = new LogWriter(logConfig(`log_dest file ${path}`));
    const before = openDescriptors();
    expect(() => log.reconfigure(logConfig('log_dest file /nonexistent/m.log', 'log_type none'))).toThrow(
      new LogError('Unable to open log file /nonexistent/m.log for writing: no such file or directory.'),
    );
    log.log(LogType.notice, 'still here');
    await log.flush();
    expect([read(path), openDescriptors()]).toEqual(['still here\n', before]);
  });

  test('with topics only needs no lines on packets', () => {
    const log = new LogWriter(logConfig('log_dest stderr', 'log_type all'));
    expect(log.types & LogType.debug).not.toBe(0);
    log.reconfigure(logConfig('log_dest topic', 'log_type all'));
    expect(log.types & LogType.debug).toBe(0);
  });
});
