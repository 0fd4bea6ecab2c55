import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogType } from '../../src/broker/log.ts';
import type { LogConfig } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { LogError } from '../../src/log/log-error.ts';
import { LogWriter } from '../../src/log/log-writer.ts';
import { SyslogFormat } from '../../src/log/syslog.ts';
import { until } from '../support/server.ts';
import { DatagramReceiver } from './datagram-receiver.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-syslog-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function logConfig(...lines: string[]): LogConfig {
  return parseConfig(['log_dest syslog', ...lines].join('\n'), 'log.conf').config.log;
}

const time = new Date(2026, 0, 2, 3, 4, 5);
const stamp = `Jan  2 03:04:05 martlet[${process.pid}]: `;

describe('a line for syslog', () => {
  test('has the priority of facility and type, the local time, and the process (RFC 3164 section 4.1)', () => {
    const format = new SyslogFormat(null);
    const lines = Object.values(LogType).map((type) => format.line(type, 'text', time.getTime()));
    expect(lines).toEqual([27, 28, 29, 30, 31, 29, 29, 31, 27].map((priority) => `<${priority}>${stamp}text\n`));
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7])('is of the local facility that log_facility %d names', (facility) => {
    const { facility: read } = logConfig(`log_facility ${facility}`);
    expect(new SyslogFormat(read).line(LogType.error, 'x', time.getTime())).toStartWith(`<${(16 + facility) * 8 + 3}>`);
  });

  test('has two digits for a day where there are two', () => {
    const format = new SyslogFormat(null);
    expect(format.line(LogType.error, 'x', new Date(2026, 11, 31).getTime())).toStartWith('<27>Dec 31 00:00:00 ');
  });
});

describe('the log to syslog', () => {
  test('is a datagram a line, with the timestamp that Mosquitto writes there too', async () => {
    const path = join(folder, 'log');
    using receiver = new DatagramReceiver(path);
    const log = new LogWriter(logConfig(), { now: () => time.getTime(), syslogPath: path });
    log.log(LogType.notice, 'one');
    log.log(LogType.error, 'two');
    log.log(LogType.debug, 'three');
    await log.flush();
    const second = time.getTime() / 1_000;
    expect(receiver.take()).toEqual([`<29>${stamp}${second}: one`, `<27>${stamp}${second}: two`]);
  });

  test('carries what the format makes', async () => {
    const path = join(folder, 'json');
    using receiver = new DatagramReceiver(path);
    const log = new LogWriter(logConfig('log_format json', 'log_timestamp false'), { syslogPath: path });
    log.log(LogType.notice, 'one', { client: 'c1' });
    await log.flush();
    expect(receiver.take()[0]).toEndWith(']: {"level":"notice","message":"one","client":"c1"}');
  });

  test('waits for no daemon that stopped reading, and counts what it did not take', async () => {
    const path = join(folder, 'stuck');
    using receiver = new DatagramReceiver(path);
    const log = new LogWriter(logConfig('log_timestamp false'), { syslogPath: path });
    const total = 5_000;
    const padding = 'x'.repeat(1_000);
    let longest = 0;
    let last = performance.now();
    for (let i = 0; i < total; i++) {
      log.log(LogType.notice, `line ${i} ${padding}`);
      if (i % 20 !== 0) continue;
      await new Promise((resolve) => setImmediate(resolve));
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    expect(longest).toBeLessThan(1_000);
    const lines: string[] = [];
    const lost = await until('the number of lost lines', () => {
      lines.push(...receiver.take().map((line) => line.replace(/^.*?: /, '')));
      return /^Warning: (\d+) lines of this log lost/.exec(lines.at(-1) ?? '');
    });
    expect(Number(lost[1])).toBeGreaterThan(0);
    expect(lines.length - 1 + Number(lost[1])).toBe(total);
    expect(lines.slice(0, -1)).toEqual(lines.slice(0, -1).map((_, i) => `line ${i} ${padding}`));
  });

  test('is told of on stderr, once, where there is no daemon, and goes on when there is one', async () => {
    const path = join(folder, 'late');
    const told: string[] = [];
    const log = new LogWriter(logConfig('log_timestamp false'), {
      syslogPath: path,
      write(_fd, bytes, _offset, length, done) {
        told.push(Buffer.from(bytes).toString());
        done(null, length);
      },
    });
    log.log(LogType.notice, 'one');
    await until('a word on stderr', () => told.length > 0);
    log.log(LogType.notice, 'two');
    expect(told).toEqual([
      `Warning: syslog cannot be reached at ${path}: no such file or directory. ` +
        'Lines are dropped and counted until it can.\n',
    ]);
    using receiver = new DatagramReceiver(path);
    const lines: string[] = [];
    await until('the lines', () => {
      lines.push(...receiver.take());
      return lines.some((line) => line.includes('of this log lost'));
    });
    log.log(LogType.notice, 'three');
    await log.flush();
    expect([...lines, ...receiver.take()].map((line) => line.replace(/^.*?: /, ''))).toEqual([
      'Warning: 2 lines of this log lost: they could not be written.',
      'three',
    ]);
    expect(told).toHaveLength(1);
  });

  test('finds a daemon that was started anew', async () => {
    const path = join(folder, 'again');
    const log = new LogWriter(logConfig('log_timestamp false'), { syslogPath: path });
    for (const text of ['one', 'two']) {
      using receiver = new DatagramReceiver(path);
      log.log(LogType.notice, text);
      await log.flush();
      expect(receiver.take().map((line) => line.replace(/^.*?: /, ''))).toEqual([text]);
    }
  });

  test('asks for a path that a socket can have', () => {
    expect(() => new LogWriter(logConfig(), { syslogPath: `/${'x'.repeat(120)}` })).toThrow(LogError);
  });

  test('gives its descriptors back at a reload that ends it', async () => {
    const path = join(folder, 'ended');
    using receiver = new DatagramReceiver(path);
    const log = new LogWriter(logConfig('log_timestamp false'), { syslogPath: path });
    log.log(LogType.notice, 'one');
    log.reconfigure(parseConfig('log_dest none', 'log.conf').config.log);
    log.log(LogType.notice, 'two');
    await log.flush();
    expect(receiver.take().map((line) => line.replace(/^.*?: /, ''))).toEqual(['one']);
  });
});

test('a file that is no socket at the place of the daemon is trouble, not an end', async () => {
  const path = join(folder, 'file');
  openSync(path, 'w');
  const told: string[] = [];
  const log = new LogWriter(logConfig(), {
    syslogPath: path,
    write(_fd, bytes, _offset, length, done) {
      told.push(Buffer.from(bytes).toString());
      done(null, length);
    },
  });
  log.log(LogType.notice, 'one');
  await until('a word on stderr', () => told.length > 0);
  expect(told[0]).toContain('connection refused');
  expect(readFileSync(path, 'utf8')).toBe('');
});
