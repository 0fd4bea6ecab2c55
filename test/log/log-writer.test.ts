import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogType } from '../../src/broker/log.ts';
import type { LogConfig } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { LogError } from '../../src/log/log-error.ts';
import { LogWriter } from '../../src/log/log-writer.ts';
import { connectPacket, connectTo, freePort, Running, until, untilListening } from '../cli/run-martlet.ts';

setDefaultTimeout(30_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function logConfig(...lines: string[]): LogConfig {
  return parseConfig(lines.join('\n'), 'log.conf').config.log;
}

const seconds = 1_700_000_000;
const now = () => seconds * 1_000 + 999;
const types = Object.entries(LogType);
const typeNames = types.map(([name]) => name);

async function logged(...lines: string[]): Promise<string> {
  const path = join(folder, 'some.log');
  const log = new LogWriter(logConfig(`log_dest file ${path}`, ...lines), { now });
  for (const [name, type] of types) log.log(type, name);
  await log.flush();
  const text = readFileSync(path, 'utf8');
  rmSync(path);
  return text;
}

const plain = (...names: string[]) => names.map((name) => `1700000000: ${name}\n`).join('');

describe('the log', () => {
  test('has seconds and text, of the types that are on unless chosen', async () => {
    expect(await logged()).toBe(plain('error', 'warning', 'notice', 'information'));
  });

  test.each(typeNames)('has lines of the type %s where it is chosen, and no others', async (name) => {
    expect(await logged(`log_type ${name}`)).toBe(plain(name));
  });

  test('has several types that are chosen, whatever their rank, or all, or none', async () => {
    expect(await logged('log_type debug', 'log_type error')).toBe(plain('error', 'debug'));
    expect(await logged('log_type all')).toBe(plain(...typeNames));
    expect(await logged('log_type none')).toBe('');
  });

  test('goes without seconds where log_timestamp is false', async () => {
    expect(await logged('log_timestamp false', 'log_type notice')).toBe('notice\n');
  });

  test('has the local time as log_timestamp_format says', async () => {
    const time = new Date(now());
    const two = (value: number) => String(value).padStart(2, '0');
    const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
    const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
    expect(await logged('log_timestamp_format %Y-%m-%dT%H:%M:%S', 'log_type notice')).toBe(
      `${date}T${clock}: notice\n`,
    );
    expect(await logged('log_timestamp_format %F', 'log_timestamp false', 'log_type notice')).toBe('notice\n');
  });

  test('moves its time on with each second', async () => {
    const path = join(folder, 'time.log');
    let second = seconds;
    const log = new LogWriter(logConfig(`log_dest file ${path}`), { now: () => second * 1_000 });
    for (const text of ['a', 'b']) {
      log.log(LogType.notice, text);
      second++;
    }
    await log.flush();
    expect(readFileSync(path, 'utf8')).toBe('1700000000: a\n1700000001: b\n');
  });

  test('tells of which types somebody reads, so that no other line need be made', () => {
    const typesOf = (...lines: string[]) => new LogWriter(logConfig(...lines)).types;
    const usual = LogType.error | LogType.warning | LogType.notice | LogType.information;
    expect(typesOf()).toBe(usual);
    expect(typesOf('log_type all')).toBe(511);
    expect(typesOf('log_type warning')).toBe(LogType.warning);
    expect(typesOf('log_type none')).toBe(0);
    expect(typesOf('log_dest none', 'log_type all')).toBe(0);
    // What never goes to a topic need not be made for topics alone.
    expect(typesOf('log_dest topic', 'log_type all')).toBe(511 - LogType.debug - LogType.internal);
    expect(typesOf('log_dest topic', 'log_dest stderr', 'log_type all')).toBe(511);
  });

  test('goes to each of its destinations', async () => {
    const written = new Map<number, string>();
    const log = new LogWriter(
      logConfig('log_dest stdout', 'log_dest stderr', 'log_dest topic', `log_dest file ${join(folder, 'both.log')}`),
      {
        now,
        write(fd, bytes, _offset, length, done) {
          written.set(fd, Buffer.from(bytes).toString());
          done(null, length);
        },
      },
    );
    const published: [LogType, string][] = [];
    log.attachTopics((type, line) => published.push([type, line]));
    log.log(LogType.error, 'all of you');
    await log.flush();
    expect([...written.values()]).toEqual(Array(3).fill('1700000000: all of you\n'));
    expect(published).toEqual([[LogType.error, '1700000000: all of you']]);
    expect(log.showsErrorsOnStderr).toBe(true);
    expect(new LogWriter(logConfig('log_dest stdout')).showsErrorsOnStderr).toBe(false);
    expect(new LogWriter(logConfig('log_type debug')).showsErrorsOnStderr).toBe(false);
  });

  test('of log_dest none is nowhere', () => {
    const log = new LogWriter(logConfig('log_dest none'), {
      write() {
        throw new Error('written');
      },
    });
    log.log(LogType.error, 'to nobody');
    expect(log.reopen()).toBeNull();
  });

  test('as a file belongs to its user alone, and is added to', async () => {
    const path = join(folder, 'own.log');
    for (const text of ['one', 'two']) {
      const log = new LogWriter(logConfig(`log_dest file ${path}`, 'log_timestamp false'));
      log.log(LogType.error, text);
      await log.flush();
    }
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('as a file that cannot be opened is an error', () => {
    expect(() => new LogWriter(logConfig('log_dest file /nonexistent/m.log'))).toThrow(
      new LogError('Unable to open log file /nonexistent/m.log for writing: no such file or directory.'),
    );
  });

  test('as a named pipe without a reader is an error, and not a wait', () => {
    const path = join(folder, 'pipe');
    Bun.spawnSync(['mkfifo', path]);
    expect(() => new LogWriter(logConfig(`log_dest file ${path}`))).toThrow(LogError);
  });
});

/** A named pipe, `cat` reading from it into a file, and its write end. */
class PipeReader implements Disposable {
  readonly writeFd: number;
  readonly captured: string;
  private readonly path: string;
  private readonly cat;

  constructor(name: string) {
    this.path = join(folder, name);
    this.captured = `${this.path}.captured`;
    expect(Bun.spawnSync(['mkfifo', this.path]).exitCode).toBe(0);
    this.cat = Bun.spawn(['cat', this.path], { stdin: 'ignore', stdout: Bun.file(this.captured), stderr: 'ignore' });
    this.writeFd = openSync(this.path, constants.O_RDWR);
  }

  /** SIGSTOP; once it has stopped, nothing is read any more. */
  async stop(): Promise<void> {
    this.cat.kill('SIGSTOP');
    await until(() => / T /.test(readFileSync(`/proc/${this.cat.pid}/stat`, 'utf8')));
  }

  goOn(): void {
    this.cat.kill('SIGCONT');
  }

  get text(): string {
    return readFileSync(this.captured, 'utf8');
  }

  [Symbol.dispose](): void {
    closeSync(this.writeFd);
    this.cat.kill('SIGKILL');
  }
}

/** test/log/log-flood.ts with its stderr on that pipe. */
class Flood implements AsyncDisposable {
  private readonly child;
  private readonly answers: AsyncIterator<string>;

  constructor(stderr: number) {
    this.child = Bun.spawn([process.execPath, join(import.meta.dir, 'log-flood.ts')], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr,
    });
    this.answers = lineReader(this.child.stdout);
  }

  send(command: string): void {
    this.child.stdin.write(`${command}\n`);
    this.child.stdin.flush();
  }

  async answer<T>(): Promise<T> {
    return JSON.parse((await this.answers.next()).value as string) as T;
  }

  async end(): Promise<number> {
    this.child.stdin.end();
    return (await this.answer<{ flushed: number }>()).flushed;
  }

  get exited(): Promise<number> {
    return this.child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.child.exited;
  }
}

async function* lineReader(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    text = lines.pop()!;
    yield* lines;
  }
}

describe('a reader of the log that stops reading', () => {
  const total = 30_000;

  test('does not hold the event loop up, and later gets what was kept and the number of what was lost', async () => {
    using reader = new PipeReader('stopped');
    await using flood = new Flood(reader.writeFd);
    flood.send('line before');
    await until(() => reader.text === '1700000000: before\n');
    await reader.stop();
    flood.send(`flood ${total}`);
    const { longest } = await flood.answer<{ longest: number }>();
    expect(longest).toBeLessThan(1_000);

    reader.goOn();
    await until(() => / lines of this log lost: they could not be written\.\n/.test(reader.text));
    flood.send('line after');
    await until(() => reader.text.endsWith('1700000000: after\n'));

    const lines = reader.text.trimEnd().split('\n');
    expect([lines.shift(), lines.pop()]).toEqual(['1700000000: before', '1700000000: after']);
    const lost = Number(/Warning: (\d+) lines/.exec(lines.pop()!)![1]);
    // 64 KiB in the pipe, 1 MiB with us, at 100 bytes a line; `cat` may have had up to 128 KiB in its hands.
    expect(lines.length).toBeGreaterThan(10_000);
    expect(lines.length).toBeLessThan(13_500);
    expect(lines.length + lost).toBe(total);
    expect(lines.map((line) => Number(/line (\d+) /.exec(line)![1]))).toEqual(lines.map((_, i) => i));
  });

  test('holds the end up for a fifth of a second, and no longer', async () => {
    using reader = new PipeReader('stopped-end');
    await using flood = new Flood(reader.writeFd);
    flood.send('line before');
    await until(() => reader.text !== '');
    await reader.stop();
    flood.send(`flood ${total}`);
    await flood.answer();
    const flushed = await flood.end();
    expect(flushed).toBeWithin(150, 1_500);
    expect(await flood.exited).toBe(0);
    reader.goOn();
  });

  test('does not keep a broker from serving and from ending', async () => {
    using reader = new PipeReader('stopped-broker');
    await reader.stop();
    const port = await freePort();
    await using broker = new Running(['broker', '-v', '-p', String(port)], { stderr: reader.writeFd });
    await untilListening(port);
    const { socket, connack } = await connectTo(port);
    expect(connack).toBe('20020000');
    // 8,000 SUBSCRIBEs, each of which makes a line of more than 200 bytes: more than the pipe and the log keep.
    const filter = Buffer.alloc(200, 'a');
    const subscribe = Buffer.concat([Buffer.from([0x82, 0xcd, 0x01, 0, 1, 0, 200]), filter, Buffer.from([0])]);
    let received = '';
    const pong = new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('hex');
        if (received.endsWith('d000')) resolve();
      });
    });
    for (let i = 0; i < 8_000; i++) socket.write(subscribe);
    socket.write(Buffer.from([0xc0, 0]));
    await pong;
    expect(received).toBe(`${'9003000100'.repeat(8_000)}d000`);
    socket.destroy();
    expect(await broker.end('SIGTERM')).toBe(0);
    reader.goOn();
    await until(() => reader.text.includes(`\t${filter} (QoS 0)\n`));
  });
});

test('a reader of the log that went away does not end the broker', async () => {
  const port = await freePort();
  const path = join(folder, 'gone');
  Bun.spawnSync(['mkfifo', path]);
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(path, constants.O_WRONLY);
  await using broker = new Running(['broker', '-v', '-p', String(port)], { stderr: writeFd });
  closeSync(writeFd);
  await untilListening(port);
  closeSync(readFd);
  for (const clientId of ['a', 'b', 'c']) {
    const { socket, connack } = await connectTo(port, clientId);
    expect(connack).toBe('20020000');
    socket.write(connectPacket('again'));
    await new Promise((resolve) => socket.once('close', resolve));
  }
  expect(await broker.end('SIGTERM')).toBe(0);
});
