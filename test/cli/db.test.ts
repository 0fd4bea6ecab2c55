// `martlet db`: its command line, `inspect` and `backup`. `check`: db-check.test.ts, `import`: db-import.test.ts.
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, setSystemTime, test } from 'bun:test';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { MosquittoDbWriter } from '../storage/mosquitto-db-writer.ts';
import { martletDb, message, openStore, putDelivery, session, TestFolder, writeStore } from './db-store.ts';
import { run } from './run-martlet.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;

let folder: TestFolder;
let path: string;

beforeEach(async () => {
  setSystemTime(NOW);
  folder = await TestFolder.make();
  path = folder.file('martlet.db');
});
afterEach(async () => {
  setSystemTime();
  await folder.remove();
});

/** Something of everything. */
function fill(batch: StoreBatch): void {
  batch.setAlive(NOW - 5_000);
  batch.putSession(
    session(1, 'away', { awaySinceMs: NOW - 2 * HOUR, sentSeq: 2, username: 'ann', protocolVersion: 5 }),
  );
  batch.putSession(session(2, 'expired', { awaySinceMs: NOW - HOUR, expiryInterval: 60 }));
  const will = message('last/words', 'gone', { retain: true });
  batch.putSession(
    session(3, 'here', {
      will: { message: will, messageExpiryInterval: null, delayInterval: 90 },
      expiryInterval: 7_200,
    }),
  );
  const subscription = { qos: 1, noLocal: false, retainAsPublished: false, identifier: 0 } as const;
  batch.putSubscription(1, { ...subscription, filterText: '$share/group/x/#' });
  batch.putSubscription(1, {
    ...subscription,
    filterText: 'a/+',
    qos: 2,
    identifier: 9,
    noLocal: true,
    retainAsPublished: true,
  });
  batch.putSubscription(3, { ...subscription, filterText: 'a/+' });
  batch.putMessage(1, 3, message('a/1', 'x'.repeat(1_500)));
  batch.putMessage(2, 1, message('a/2', 'two', { expiresAtMs: NOW - 1_000 }));
  batch.putMessage(3, 1, message('a/3', 'three', { qos: 2 }));
  putDelivery(batch, 1, 1, 1, { qos: 2, packetId: 7, isReleased: true, size: 1_503 });
  putDelivery(batch, 2, 1, 1, { packetId: 8, size: 1_503 });
  putDelivery(batch, 3, 1, 2, { packetId: 9, size: 6, identifier: 9, expiresAtMs: NOW - 1_000 });
  putDelivery(batch, 4, 3, 1, { packetId: 1, size: 1_503 });
  batch.putIncoming(3, 500, 3);
  batch.putIncoming(3, 501, 0);
  batch.putRetained(message('r/1', 'kept', { retain: true }));
  batch.putRetained(message('r/2', 'late', { retain: true, expiresAtMs: NOW - 1 }));
}

describe('the command line', () => {
  test.each([['--help'], ['-h'], ['help']])('%s lists the commands', async (word) => {
    const { status, stdout, stderr } = await martletDb(word);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const name of ['inspect', 'check', 'backup', 'import']) {
      expect(stdout).toMatch(new RegExp(`^  ${name} +[A-Z].*\\.$`, 'm'));
    }
  });

  test.each([['inspect'], ['check'], ['backup'], ['import']])('%s has a help of its own', async (name) => {
    const { status, stdout, stderr } = await martletDb(name, '--help');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toStartWith(`Usage: martlet db ${name} [OPTION ...] `);
    expect(stdout).toContain('\nExamples:\n  martlet db ');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(115);
  });

  test.each([
    [[], ''],
    [['inpsect'], "Unknown command 'db inpsect'; did you mean 'inspect'?"],
    [['inspect'], 'Which file? Name it, or give -c and the configuration of the broker.'],
    [['inspect', 'a', 'b'], "Unexpected argument 'b'."],
    [['inspect', '--limit', '0', 'a'], "Invalid number '0' for --limit: expected a number from 1 to 999999999."],
    [['inspect', '--cleint', 'x'], "Unknown option '--cleint'. Did you mean --client?"],
    [['check', '-c', 'x.conf', 'file'], 'x.conf'],
    [['backup', 'one'], 'Name the file to copy, and the one to make: FILE TO.'],
    [['backup', 'one', 'two', 'three'], "Unexpected argument 'three'."],
    [['import'], 'Which file? Name the mosquitto.db to import, or give -c CONF.'],
    [['import', '--into'], '--into argument given, but no FILE specified.'],
  ])('%j is refused', async (args, text) => {
    const { status, stdout, stderr } = await martletDb(...args);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toContain(text);
  });

  test('is a command of martlet', async () => {
    await writeStore(path, fill);
    const { status, stdout, stderr } = await run(['db', 'inspect', path]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('\nSessions       3 (');
  });

  test('words behind -- are files, whatever they look like', async () => {
    const { status, stderr } = await martletDb('inspect', '--', '--json');
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'Error: cannot read --json: no such file or directory.\n',
    });
  });
});

describe('files that are none of ours', () => {
  test.each([
    ['a folder', (at: string) => mkdirSync(at), 'is a folder: name the file in it'],
    ['an empty file', (at: string) => writeFileSync(at, ''), 'is empty'],
    ['text', (at: string) => writeFileSync(at, 'no database at all '.repeat(1_000)), 'SQLITE_NOTADB'],
    [
      'one of Mosquitto',
      (at: string) => writeFileSync(at, new MosquittoDbWriter({ format: 6 }).finish()),
      "'martlet db import ",
    ],
    [
      'another database',
      (at: string) => new Database(at, { create: true }).run('CREATE TABLE t (x)'),
      'another program',
    ],
    ['a database without tables', (at: string) => new Database(at, { create: true }).run('VACUUM'), 'no tables'],
  ])('%s', async (_, make, text) => {
    make(path);
    for (const args of [['inspect'], ['check']]) {
      const { status, stdout, stderr } = await martletDb(...args, path);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toStartWith('Error: ');
      expect(stderr).toContain(path);
      expect(stderr).toContain(text);
      expect(stderr.split('\n')).toHaveLength(2);
    }
  });

  test('a file of a later version', async () => {
    await writeStore(path, fill);
    const db = new Database(path);
    db.run('PRAGMA user_version = 99');
    db.close();
    expect(await martletDb('inspect', path)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('version 99'),
    });
  });

  test('a file that is not there', async () => {
    expect(await martletDb('check', path)).toEqual({
      status: 1,
      stdout: '',
      stderr: `Error: cannot read ${path}: no such file or directory.\n`,
    });
  });
});

describe('inspect', () => {
  test('tells in words what is there', async () => {
    await writeStore(path, fill);
    const { status, stdout, stderr } = await martletDb('inspect', path);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.replace(/^Size .*$/m, 'Size           -')).toBe(
      [
        `File           ${path}`,
        'Size           -',
        'Tables         version 1',
        'Broker         last alive 2026-03-01 11:59:55 UTC (5 s ago)',
        'Sessions       3 (1 connected, 1 without end, 1 expired, 1 with a will)',
        'Subscriptions  3 (1 shared)',
        'To clients     4 (2 in flight, 2 queued, 1 expired), 4.5 kB',
        'From clients   2, QoS 2, not released yet',
        'Messages       3 stored, 1.5 kB of payload',
        'Retained       2 (1 expired), 8 B of payload',
        '',
        'LARGEST QUEUES  MESSAGES    SIZE  SUBSCRIPTIONS   AWAY FOR',
        'away                   3    3 kB              2  2 h 0 min',
        'here                   1  1.5 kB              1  connected',
        '',
      ].join('\n'),
    );
  });

  test('gives the same to programs', async () => {
    await writeStore(path, fill);
    const { status, stdout } = await martletDb('inspect', '--json', '--limit', '1', path);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      file: { path, tablesVersion: 1, logBytes: 0, aliveAtMs: NOW - 5_000 },
      sessions: { total: 3, connected: 1, withoutExpiry: 1, expired: 1, withWill: 1 },
      subscriptions: { total: 3, shared: 1 },
      messages: { total: 3, payloadBytes: 1_508 },
      deliveries: { total: 4, inFlight: 2, released: 1, queued: 2, bytes: 4_515, expired: 1 },
      incoming: 2,
      retained: { total: 2, payloadBytes: 8, expired: 1 },
      largest: [{ clientId: 'away', subscriptions: 2, messages: 3, bytes: 3_012, awaySinceMs: NOW - 2 * HOUR }],
    });
  });

  test('reads while a broker writes, and leaves the file as it is', async () => {
    const store = await openStore(path, fill);
    try {
      const before = statSync(path).mtimeMs;
      const { status, stdout } = await martletDb('inspect', '--json', path);
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ sessions: { total: 3 } });
      expect(statSync(path).mtimeMs).toBe(before);
      const batch = new StoreBatch();
      batch.putSession(session(4, 'later'));
      await store.commit(batch);
      expect(JSON.parse((await martletDb('inspect', '--json', path)).stdout)).toMatchObject({ sessions: { total: 4 } });
    } finally {
      await store.close();
    }
  });

  test('of an empty store has no list', async () => {
    await writeStore(path, (batch) => batch.setAlive(NOW));
    const { stdout } = await martletDb('inspect', path);
    expect(stdout).toContain('\nSessions       0\n');
    expect(stdout).not.toContain('LARGEST');
  });

  test('shows one client', async () => {
    await writeStore(path, fill);
    const { status, stdout } = await martletDb('inspect', path, '--client', 'away', '--limit', '2');
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        'Client           away',
        'Protocol         MQTT 5',
        'User name        ann',
        'Connection       ended 2026-03-01 10:00:00 UTC (2 h 0 min ago)',
        'Expires          never',
        'Will             none',
        'Subscriptions    2',
        'To the client    3 (2 in flight, 1 queued), 3 kB',
        'From the client  0',
        '',
        'SUBSCRIPTION      QOS  IDENTIFIER  OPTIONS',
        '$share/group/x/#    1',
        'a/+                 2           9  no local, retain as published',
        '',
        'NUMBER  STATE     PACKET  QOS  RETAIN    SIZE  EXPIRES  TOPIC',
        '     1  released       7    2          1.5 kB           a/1',
        '     2  sent           8    1          1.5 kB           a/1',
        '1 more: --limit N lists more of them.',
        '',
      ].join('\n'),
    );
  });

  test('shows the will and what came from one client', async () => {
    await writeStore(path, fill);
    const { stdout } = await martletDb('inspect', path, '--client', 'here');
    expect(stdout).toContain('\nConnection       open, when this was written\nExpires          after 2 h 0 min\n');
    expect(stdout).toContain(
      '\nWill             last/words at QoS 1, retained, 4 B, 1 min 30 s after the connection ends\n',
    );
    expect(stdout).toEndWith(
      [
        'INCOMING PACKET  QOS  RETAIN  SIZE  EXPIRES  TOPIC',
        '            500    2           5 B           a/3',
        '            501                              refused',
        '',
      ].join('\n'),
    );
  });

  test('gives one client to programs', async () => {
    await writeStore(path, fill);
    const { stdout } = await martletDb('inspect', path, '--client=here', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      clientId: 'here',
      awaySinceMs: 0,
      will: { topic: 'last/words', delayInterval: 90 },
      subscriptions: [{ filter: 'a/+', qos: 1, noLocal: false, retainAsPublished: false, identifier: 0 }],
      deliveries: {
        total: 1,
        inFlight: 0,
        first: [{ number: 4, state: 'queued', packetId: 1, topic: 'a/1', payloadBytes: 1_500 }],
      },
      incoming: [
        { packetId: 500, message: { topic: 'a/3', qos: 2 } },
        { packetId: 501, message: null },
      ],
    });
  });

  test('a client that is not there', async () => {
    await writeStore(path, fill);
    expect(await martletDb('inspect', path, '--client', 'nobody\x1b[2J')).toEqual({
      status: 1,
      stdout: '',
      stderr: `Error: ${path} has no session of client 'nobody\\x1b[2J'.\n`,
    });
  });

  test('does not hand control characters of clients to the terminal', async () => {
    await writeStore(path, (batch) => {
      batch.putSession(session(1, 'evil\x1b[31m\u202e'));
      batch.putMessage(1, 1, message('t'));
      putDelivery(batch, 1, 1, 1);
    });
    const { stdout } = await martletDb('inspect', path);
    expect(stdout).toContain('evil\\x1b[31m\\u202e');
    expect(stdout).not.toContain('\x1b');
  });
});

describe('backup', () => {
  test('copies a store in use: what is committed, under the same mode', async () => {
    const store = await openStore(path, fill);
    try {
      const copy = folder.file('copy.db');
      const { status, stdout, stderr } = await martletDb('backup', path, copy);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/^Copied .*martlet\.db to .*copy\.db: \d+ kB in \d\.\d s\.\n$/);
      expect(statSync(copy).mode).toBe(statSync(path).mode);
      const seen = JSON.parse((await martletDb('inspect', '--json', copy)).stdout);
      expect(seen).toMatchObject({ sessions: { total: 3 }, deliveries: { total: 4 }, retained: { total: 2 } });
      expect((await martletDb('check', copy)).status).toBe(0);
    } finally {
      await store.close();
    }
  });

  test('is what a broker starts with', async () => {
    await writeStore(path, fill);
    const copy = folder.file('copy.db');
    await martletDb('backup', path, copy);
    const store = await openStore(copy, (batch) => batch.setAlive(NOW));
    expect((await store.findSession('away'))!.sentSeq).toBe(2);
    await store.close();
  });

  test('overwrites nothing, and needs a folder', async () => {
    await writeStore(path, fill);
    const copy = folder.file('copy.db');
    writeFileSync(copy, 'mine');
    expect(await martletDb('backup', path, copy)).toEqual({
      status: 1,
      stdout: '',
      stderr: `Error: ${copy} exists already, and is not overwritten.\n`,
    });
    expect(statSync(copy).size).toBe(4);
    const lost = folder.file('missing/copy.db');
    expect((await martletDb('backup', path, lost)).stderr).toBe(`Error: the folder of ${lost} does not exist.\n`);
    expect(readdirSync(folder.path).filter((name) => name.includes('part'))).toEqual([]);
  });

  test('by the configuration of a broker', async () => {
    await writeStore(path, fill);
    const configuration = folder.file('martlet.conf');
    writeFileSync(configuration, `persistence true\npersistence_location ${folder.path}\n`);
    const { status, stdout } = await martletDb('backup', '-c', configuration, folder.file('copy.db'));
    expect({ status, copied: stdout.startsWith(`Copied ${path} to `) }).toEqual({ status: 0, copied: true });
    expect((await martletDb('inspect', '-c', configuration)).stdout).toContain(`File           ${path}\n`);
  });
});
