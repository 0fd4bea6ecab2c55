// `martlet broker` as a process: what mosquitto's scripts and service files rely on.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packageJson from '../../package.json';
import { connectTo, freePort, isAlive, martlet, run, Running, until, untilListening } from './run-martlet.ts';

setDefaultTimeout(30_000);

const { version } = packageJson;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file and names it. */
function file(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

const free = ['listener 0 127.0.0.1', 'allow_anonymous true'];

/** The log without its timestamps. */
function lines(log: string): string[] {
  return log
    .trimEnd()
    .split('\n')
    .map((line) => {
      expect(line).toMatch(/^\d{10}: /);
      return line.slice(12);
    });
}

async function withUsedPort<T>(use: (port: number) => Promise<T>): Promise<T> {
  const server = await new Promise<Server>((resolve) => {
    const one = createServer().listen(0, '127.0.0.1', () => resolve(one));
  });
  try {
    return await use((server.address() as { port: number }).port);
  } finally {
    server.close();
  }
}

describe('a run', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('tells what it does, serves, and ends cleanly on %s', async (signal) => {
    const path = file('run.conf', ...free);
    await using broker = new Running(['broker', '-c', path]);
    const port = await broker.port();
    const { socket, connack } = await connectTo(port);
    expect(connack).toBe('20020000');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    expect(await broker.end(signal)).toBe(0);
    await closed;
    expect(broker.stdout).toBe('');
    const log = lines(broker.stderr);
    expect(log.slice(0, 4)).toEqual([
      `martlet version ${version} starting`,
      `Config loaded from ${path}.`,
      `Opening ipv4 listen socket on port ${port}.`,
      `martlet version ${version} running`,
    ]);
    expect(log[4]).toMatch(new RegExp(`^New connection from 127\\.0\\.0\\.1:\\d+ on port ${port}\\.$`));
    expect(log[5]).toMatch(/^New client connected from 127\.0\.0\.1:\d+ as test \(p4, c1, k0\)\.$/);
    expect(log[6]).toBe(`martlet version ${version} terminating`);
  });

  test('by bin/martlet is one process, so that its id and its signals are the ones of the broker', async () => {
    const pidFile = join(folder, 'bin.pid');
    const command = [join(import.meta.dir, '..', '..', 'bin', 'martlet')];
    const args = ['broker', '-c', file('bin.conf', ...free, `pid_file ${pidFile}`)];
    await using broker = new Running(args, { cwd: '/', command });
    await broker.port();
    expect(readFileSync(pidFile, 'utf8')).toBe(`${broker.child.pid}\n`);
    expect(await broker.end('SIGTERM')).toBe(0);
  });

  test('goes on after an exception that nobody caught, and tells it in one line', async () => {
    const faults = file(
      'faults.ts',
      // The first SIGWINCH of two throws in a callback, the other one leaves a promise rejected.
      "process.once('SIGWINCH', () => {",
      "  process.once('SIGWINCH', () => void Promise.reject(new Error('second')));",
      "  throw new Error('first');",
      '});',
    );
    const [bun = '', ...rest] = martlet;
    const path = file('faults.conf', ...free, 'log_type error', 'log_type information');
    await using broker = new Running(['broker', '-c', path], { command: [bun, `--preload=${faults}`, ...rest] });
    const port = await broker.port();
    for (const name of ['first', 'second']) {
      broker.child.kill('SIGWINCH');
      await broker.output('stderr', new RegExp(`^\\d+: Internal error on the broker: Error: ${name} .*\\n`, 'm'));
    }
    expect((await connectTo(port)).connack).toBe('20020000');
    expect(await broker.end('SIGTERM')).toBe(0);
    expect(broker.stderr.match(/Internal error/g)).toHaveLength(2);
  });

  test('leaves its port free for the next one at once', async () => {
    let port = 0;
    {
      await using first = new Running(['broker', '-c', file('first.conf', ...free)]);
      port = await first.port();
      (await connectTo(port)).socket.on('error', () => {});
      expect(await first.end('SIGTERM')).toBe(0);
    }
    const path = file('second.conf', `listener ${port} 127.0.0.1`, 'allow_anonymous true');
    await using second = new Running(['broker', '-c', path]);
    expect((await connectTo(await second.port())).connack).toBe('20020000');
  });

  test('without a file is for this machine only, on -p, without asking who it is', async () => {
    const port = await freePort();
    await using broker = new Running(['broker', '-p', String(port)]);
    expect(await broker.port()).toBe(port);
    const { socket, connack } = await connectTo(port);
    expect(connack).toBe('20020000');
    socket.destroy();
    expect(await broker.end('SIGTERM')).toBe(0);
    const log = lines(broker.stderr);
    expect(log.slice(0, 6)).toEqual([
      `martlet version ${version} starting`,
      'Using default config.',
      'Starting in local only mode. Connections will only be possible from clients running on this machine.',
      'Create a configuration file which defines a listener to allow remote access.',
      "See 'martlet help config' and docs/configuration.md.",
      `Opening ipv4 listen socket on port ${port}.`,
    ]);
  });

  test('with a file that has no listener is for this machine only, too', async () => {
    const port = await freePort();
    await using broker = new Running([
      'broker',
      '-p',
      String(port),
      '-c',
      file('no-listener.conf', 'max_queued_messages 60'),
    ]);
    expect(await broker.port()).toBe(port);
    expect(broker.stderr).toContain(': Starting in local only mode.');
    expect((await connectTo(port)).connack).toBe('20020000');
  });

  test('-p is without effect where the file has a listener, and the log says so', async () => {
    const path = file('listener.conf', ...free);
    await withUsedPort(async (used) => {
      await using broker = new Running(['broker', '-p', String(used), '-c', path]);
      await broker.port();
      expect(broker.stderr).toContain(`: -p is without effect: ${path} opens listeners of its own.\n`);
      expect(await broker.end('SIGTERM')).toBe(0);
    });
  });

  test('with a listener lets nobody in unless the file says so, and warns of it', async () => {
    await using broker = new Running(['broker', '-c', file('closed.conf', 'listener 0 127.0.0.1')]);
    expect((await connectTo(await broker.port())).connack).toBe('20020005');
    expect(broker.stderr).toContain(': Warning: allow_anonymous is false by default and there is no password_file');
  });

  test('-v logs everything, whatever the file says', async () => {
    await using broker = new Running(['broker', '-v', '-c', file('verbose.conf', ...free, 'log_type error')]);
    const { socket } = await connectTo(await broker.port());
    // SUBSCRIBE, packet 1, to `a` with QoS 0, then DISCONNECT
    socket.end(Buffer.from('8206000100016100e000', 'hex'));
    await broker.output('stderr', /: \ta \(QoS 0\)\n/);
    await broker.output('stderr', /: Client test .*disconnected\.\n/);
  });

  test.each([
    ['log_type error', []],
    ['log_type all', ['-v', '-q']],
  ])('with %s and %p there is nothing to log', async (line, args) => {
    const port = await freePort();
    const path = file('quiet.conf', `listener ${port} 127.0.0.1`, 'allow_anonymous true', line);
    await using broker = new Running(['broker', ...args, '-c', path]);
    await untilListening(port);
    (await connectTo(port)).socket.destroy();
    expect(await broker.end('SIGTERM')).toBe(0);
    expect(broker.stderr).toBe('');
  });

  test('opens HTTP where the file asks for it', async () => {
    await using broker = new Running(['broker', '-c', file('http.conf', ...free, 'http_listener 0')]);
    const [, url] = await broker.output('stderr', /: HTTP on (http:\S+)\n/);
    expect((await fetch(`${url}healthz`)).status).toBe(200);
    expect(await broker.end('SIGTERM')).toBe(0);
  });

  test('writes what it has to say about the file into the log', async () => {
    const port = await freePort();
    const path = file('old.conf', `port ${port}`, 'bind_address 127.0.0.1', 'allow_anonymous true');
    await using broker = new Running(['broker', '-c', path]);
    expect(await broker.port()).toBe(port);
    expect(lines(broker.stderr).slice(2, 4)).toEqual([
      "The 'port' option is now deprecated and will be removed in a future version. Please use 'listener' instead.",
      "The 'bind_address' option is now deprecated and will be removed in a future version. Please use 'listener' instead.",
    ]);
  });

  test('with -c twice reads both files, the second one with sections of its own', async () => {
    const first = file('first-of-two.conf', 'listener 0 127.0.0.1', 'max_qos 1');
    const second = file('second-of-two.conf', 'allow_anonymous true', 'listener 0 127.0.0.1');
    await using broker = new Running(['broker', '-c', first, '--config-file', second]);
    for (const index of [0, 1]) expect((await connectTo(await broker.port(index))).connack).toBe('20020000');
    expect(broker.stderr).toContain(`: Config loaded from ${second}.\n`);
  });

  test('with -p several times listens on each port', async () => {
    const ports = [await freePort(), await freePort()];
    await using broker = new Running(['broker', ...ports.flatMap((port) => ['-p', String(port)])]);
    await broker.port();
    for (const port of ports) expect((await connectTo(port)).connack).toBe('20020000');
  });
});

describe('refused:', () => {
  test('a configuration, with everything that is wrong, status 3, and no port opened', async () => {
    const path = file('bad.conf', 'listner 1883', 'max_qos 5');
    expect(await run(['broker', '-c', path])).toEqual({
      status: 3,
      stdout: '',
      stderr:
        `Error: ${path}:1: unknown option 'listner'; did you mean 'listener'?\n` +
        `Error: ${path}:2: max_qos: got '5', expected 0, 1 or 2\n`,
    });
  });

  test.each([
    [['-c', '/nonexistent/m.conf'], '/nonexistent/m.conf: Unable to open config file: no such file or directory'],
    [['-c'], '-c argument given, but no FILE specified.'],
    [['-p'], '-p argument given, but no PORT specified.'],
    [['-p', 'x'], "Invalid port 'x' for -p: expected a number from 1 to 65535."],
    [['-p', '0'], "Invalid port '0' for -p: expected a number from 1 to 65535."],
    [['-p', '65536'], "Invalid port '65536' for -p: expected a number from 1 to 65535."],
    [['-x'], "Unknown option '-x'."],
    [['--verbos'], "Unknown option '--verbos'. Did you mean --verbose?"],
    [['--verbose=1'], '--verbose takes no value.'],
    [['file.conf'], "Unexpected argument 'file.conf'."],
    [
      ['--tls-keylog', 'f'],
      '--tls-keylog is not available: the TLS library here does not tell the keys of connections.',
    ],
    [['--test-config'], '--test-config needs a file to test: -c FILE.'],
  ])('%p', async (args, text) => {
    expect(await run(['broker', ...args])).toEqual({ status: 3, stdout: '', stderr: `Error: ${text}\n` });
  });

  test('more than ten ports', async () => {
    const args = Array.from({ length: 11 }, () => ['-p', '1']).flat();
    expect(await run(['broker', ...args])).toEqual({
      status: 3,
      stdout: '',
      stderr: 'Error: Only 10 ports can be specified on the command line.\n',
    });
  });

  test('a port in use, by one line that names the port and who holds it, status 1', async () => {
    await withUsedPort(async (port) => {
      const { status, stdout, stderr } = await run(['broker', '-p', String(port)]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      const errors = lines(stderr).filter((line) => line.startsWith('Error: '));
      expect(errors).toHaveLength(1);
      expect(errors[0]).toContain(`port ${port}`);
      expect(errors[0]).toContain(`(process ${process.pid})`);
      expect(errors[0]).toContain('-p PORT');
    });
  });

  test('an HTTP port in use, after which no port stays open, status 1', async () => {
    await withUsedPort(async (port) => {
      const path = file('http-used.conf', ...free, `http_listener ${port}`);
      const { status, stderr } = await run(['broker', '-c', path]);
      expect(status).toBe(1);
      expect(lines(stderr).at(-1)).toStartWith(`Error: Cannot open HTTP port ${port} on 127.0.0.1: it is in use by `);
    });
  });

  test('a port in use is told on stderr even where the log is elsewhere', async () => {
    await withUsedPort(async (port) => {
      const log = join(folder, 'used.log');
      const path = file('used.conf', `listener ${port} 127.0.0.1`, `log_dest file ${log}`);
      const { status, stderr } = await run(['broker', '-c', path]);
      expect(status).toBe(1);
      expect(stderr).toMatch(new RegExp(`^Error: Cannot listen on port ${port}.*\\n$`));
      expect(readFileSync(log, 'utf8')).toContain(stderr);
    });
  });

  test('an address that this machine does not have, status 1', async () => {
    const { status, stderr } = await run(['broker', '-c', file('address.conf', 'listener 18830 192.0.2.1')]);
    expect(status).toBe(1);
    expect(lines(stderr).at(-1)).toBe(
      'Error: Cannot listen on port 18830 on 192.0.2.1: this machine has no such address.',
    );
  });

  test('certificates that cannot be loaded, status 1', async () => {
    const path = file('tls.conf', ...free, 'certfile /nonexistent/a.crt', 'keyfile /nonexistent/a.key');
    const { status, stderr } = await run(['broker', '-c', path]);
    expect(status).toBe(1);
    expect(lines(stderr).at(-1)).toMatch(/^Error: .*\/nonexistent\/a\./);
  });

  test('a pid file that cannot be written, status 1', async () => {
    // The store is closed while it is read: that was told as a store that cannot be read.
    const kept = ['persistence true', `persistence_location ${folder}`];
    const path = file('pid.conf', ...free, ...kept, 'pid_file /nonexistent/m.pid');
    const { status, stderr } = await run(['broker', '-c', path]);
    expect(status).toBe(1);
    expect(lines(stderr).filter((line) => line.startsWith('Error'))).toEqual([
      'Error: Unable to write pid file /nonexistent/m.pid: no such file or directory.',
    ]);
  });

  test('a log file that cannot be opened, status 1', async () => {
    expect(await run(['broker', '-c', file('log-file.conf', ...free, 'log_dest file /nonexistent/m.log')])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'Error: Unable to open log file /nonexistent/m.log for writing: no such file or directory.\n',
    });
  });
});

describe('--test-config', () => {
  test('of a good file says so and leaves', async () => {
    const path = file('good.conf', ...free);
    expect(await run(['broker', '-c', path, '--test-config'])).toEqual({
      status: 0,
      stdout: `Configuration file ${path} is OK.\n`,
      stderr: '',
    });
  });

  test('of a bad file tells what is wrong with it', async () => {
    const path = file('bad2.conf', 'max_qos 5');
    expect(await run(['broker', '-c', path, '--test-config'])).toEqual({
      status: 3,
      stdout: '',
      stderr: `Error: ${path}:1: max_qos: got '5', expected 0, 1 or 2\n`,
    });
  });

  test('looks whether the certificates are there', async () => {
    const path = file('tls2.conf', ...free, 'certfile /nonexistent/a.crt', `keyfile ${file('a.key', '')}`);
    expect(await run(['broker', '--test-config', '-c', path])).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^Error: .*\/nonexistent\/a\.crt.*no such file or directory.*\n$/),
    });
  });
});

describe('in the background', () => {
  test('-d returns once the broker listens; the pid file names it, and is gone after its end', async () => {
    const [pidFile, log] = [join(folder, 'daemon.pid'), join(folder, 'daemon.log')];
    const path = file('daemon.conf', ...free, `pid_file ${pidFile}`, `log_dest file ${log}`);
    expect(await run(['broker', '-d', '-c', path])).toEqual({ status: 0, stdout: '', stderr: '' });
    const pid = Number(readFileSync(pidFile, 'utf8'));
    try {
      const [, port] = /Opening ipv4 listen socket on port (\d+)\./.exec(readFileSync(log, 'utf8'))!;
      expect((await connectTo(Number(port))).connack).toBe('20020000');
      // A session of its own: what ends the terminal does not end it. Fields of stat: pid (comm) state ppid pgrp session.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      expect(fields[3]).toBe(String(pid));
    } finally {
      process.kill(pid, 'SIGTERM');
    }
    await until(() => !isAlive(pid));
    expect(existsSync(pidFile)).toBe(false);
    expect(readFileSync(log, 'utf8')).toContain(`: martlet version ${version} terminating\n`);
  });

  test('-d tells what kept the broker from starting, with its status', async () => {
    await withUsedPort(async (port) => {
      const { status, stdout, stderr } = await run(['broker', '-d', '-p', String(port)]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^Error: Cannot listen on port ${port}.*\\n$`));
    });
    const path = file('bad3.conf', 'max_qos 5');
    expect(await run(['broker', '-d', '-c', path])).toEqual({
      status: 3,
      stdout: '',
      stderr: `Error: ${path}:1: max_qos: got '5', expected 0, 1 or 2\n`,
    });
  });

  test('a pid file of somebody else stays', async () => {
    const pidFile = join(folder, 'other.pid');
    await using broker = new Running(['broker', '-c', file('other.conf', ...free, `pid_file ${pidFile}`)]);
    await broker.port();
    expect(readFileSync(pidFile, 'utf8')).toBe(`${broker.child.pid}\n`);
    writeFileSync(pidFile, '1\n');
    expect(await broker.end('SIGTERM')).toBe(0);
    expect(readFileSync(pidFile, 'utf8')).toBe('1\n');
  });
});
