// `martlet db import`: what it says and where it writes. What becomes of each record: test/storage/mosquitto-db-*.test.ts.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { MosquittoState as State } from '../../src/storage/mosquitto-db-records.ts';
import { MosquittoDbWriter } from '../storage/mosquitto-db-writer.ts';
import { martletDb, openStore, session, TestFolder, writeStore } from './db-store.ts';

const SAVED = Date.parse('2026-03-01T12:00:00Z');

let folder: TestFolder;
let source: string;
let target: string;

beforeEach(async () => {
  folder = await TestFolder.make();
  source = folder.file('mosquitto.db');
  target = folder.file('martlet.db');
});
afterEach(() => folder.remove());

function writeSource(bytes: Uint8Array, path = source): void {
  writeFileSync(path, bytes);
  utimesSync(path, SAVED / 1000, SAVED / 1000);
}

/** 1,200 messages for one client, three of which expired. */
function example(): MosquittoDbWriter {
  const writer = new MosquittoDbWriter({ format: 6 }).config().message({ id: 9_999, topicName: 'r', payload: 'kept' });
  for (let id = 1; id <= 1_200; id++) {
    writer.message({ id, topicName: 'a', payload: '0123456789', ...(id > 1_197 ? { expiryTime: 1_000 } : {}) });
  }
  writer.client({ clientId: 'client' }).client({ clientId: 'ended', expiryInterval: 0 });
  for (let id = 1; id <= 1_200; id++) {
    const state = id <= 20 ? State.waitForPuback : State.queued;
    writer.clientMessage({ clientId: 'client', messageId: id, packetId: id, qos: 1, state });
  }
  writer.clientMessage({
    clientId: 'client',
    messageId: 1,
    packetId: 1,
    qos: 2,
    state: State.waitForPubrel,
    isIncoming: true,
  });
  return writer.subscription({ clientId: 'client', filterText: 'a', qos: 1 }).retained(9_999);
}

test('takes a file over into the one beside it, and tells what it took and what not', async () => {
  const writer = example();
  writeSource(writer.finish());
  const { status, stdout, stderr } = await martletDb('import', source);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const lines = stdout.split('\n');
  expect(lines).toEqual([
    `${source}: 97 kB, format 6, saved 2026-03-01 12:00:00 UTC`,
    '      1  sessions',
    '      1  subscriptions',
    '     20  messages in flight to clients',
    '  1,177  messages queued for clients',
    '      1  QoS 2 messages from clients, not released yet',
    '      1  retained messages',
    'Messages are 1,197 with 12 kB of payload.',
    'Left out:',
    expect.stringMatching(/^ {6}1 {2}sessions that end with their connection \(first at byte [\d,]+\)$/),
    expect.stringMatching(/^ {6}3 {2}queued messages that have expired \(first at byte [\d,]+\)$/),
    expect.stringMatching(new RegExp(`^Written to ${target} in \\d\\.\\d s\\.$`)),
    '',
  ]);
  expect(JSON.parse((await martletDb('inspect', '--json', target)).stdout)).toMatchObject({
    sessions: { total: 1 },
    deliveries: { inFlight: 20, queued: 1_177 },
    incoming: 1,
    retained: { total: 1 },
  });
  expect((await martletDb('check', target)).stdout).toBe(`${target} is sound.\n`);
});

test('goes where it is told', async () => {
  writeSource(example().finish());
  const elsewhere = folder.file('other.db');
  expect((await martletDb('import', '--into', elsewhere, source)).status).toBe(0);
  expect([existsSync(elsewhere), existsSync(target)]).toEqual([true, false]);
});

test('a dry run tells the same and writes nothing', async () => {
  writeSource(example().finish());
  const { status, stdout } = await martletDb('import', '--dry-run', source);
  expect(status).toBe(0);
  expect(stdout).toContain('\n  1,177  messages queued for clients\n');
  expect(stdout).toEndWith('\nNothing was written.\n');
  expect(readdirSync(folder.path)).toEqual(['mosquitto.db']);
});

describe('with the configuration of a broker', () => {
  const configure = (...lines: string[]) => {
    const path = folder.file('mosquitto.conf');
    writeFileSync(path, `persistence true\n${lines.join('\n')}\n`);
    return path;
  };

  test('finds what Mosquitto left, and writes to where the broker looks', async () => {
    mkdirSync(folder.file('state'));
    const configuration = configure(`persistence_location ${folder.file('state')}/`);
    writeSource(example().finish(), folder.file('state/mosquitto.db'));
    const { status, stdout } = await martletDb('import', '-c', configuration);
    expect(status).toBe(0);
    expect(stdout).toContain(`\nWritten to ${folder.file('state/martlet.db')} in `);
    expect((await martletDb('inspect', '-c', configuration)).stdout).toContain('\nSessions       1 ');
  });

  test('does so where persistence_file names the file of Mosquitto', async () => {
    const configuration = configure(`persistence_location ${folder.path}`, 'persistence_file mosquitto.db');
    writeSource(example().finish());
    expect((await martletDb('import', '-c', configuration)).status).toBe(0);
    expect((await martletDb('inspect', '-c', configuration)).stdout).toContain('\nSessions       1 ');
  });

  test('says where nothing is left', async () => {
    const configuration = configure(`persistence_location ${folder.path}`);
    expect(await martletDb('import', '-c', configuration)).toEqual({
      status: 1,
      stdout: '',
      stderr: `Error: there is no mosquitto.db in ${folder.path}, where the configuration says.\n`,
    });
  });

  test('a configuration that cannot be read', async () => {
    const { status, stderr } = await martletDb('import', '-c', folder.file('missing.conf'));
    expect(status).toBe(3);
    expect(stderr).toContain('missing.conf');
  });
});

describe('says in one line why it does not', () => {
  const refusal = async (...args: string[]) => {
    const { status, stdout, stderr } = await martletDb('import', ...args);
    expect({ status, stdout, lines: stderr.split('\n').length }).toEqual({ status: 1, stdout: '', lines: 2 });
    return stderr;
  };

  test('a source that is not there', async () => {
    expect(await refusal(source)).toBe(`Error: cannot read ${source}: no such file or directory.\n`);
  });

  test('a source that is a folder', async () => {
    expect(await refusal(folder.path)).toBe(`Error: cannot read ${folder.path}: it is a folder.\n`);
  });

  test('a source that is something else', async () => {
    writeSource(new TextEncoder().encode('SQLite format 3\0 and more'));
    expect(await refusal(source)).toBe(
      `Error: ${source} is damaged or no mosquitto.db: at byte 0, this is not a mosquitto.db: it does not begin like one.\n`,
    );
  });

  test('a source that is cut off, with the place, and the way to have the rest', async () => {
    const bytes = example().finish();
    writeSource(bytes.subarray(0, bytes.length - 4));
    const text = await refusal(source);
    expect(text).toContain(`${source} is damaged or no mosquitto.db: at byte `);
    expect(text).toContain(
      'the file ends in the middle of a chunk (retained message) of 8 bytes: 4 are there. Nothing was imported',
    );
    expect(existsSync(target)).toBe(false);

    const { status, stdout, stderr } = await martletDb('import', '--salvage', source);
    expect(status).toBe(0);
    expect(stdout).toContain('\n      0  retained messages\n');
    expect(stderr).toStartWith(`Warning: ${source} is damaged`);
    expect(stderr).toEndWith('what stands behind that is lost.\n');
  });

  test('a target that is not empty', async () => {
    writeSource(example().finish());
    await writeStore(target, (batch) => batch.putSession(session(1, 'one')));
    expect(await refusal(source)).toBe(
      `Error: ${target} is not empty: it has 1 session and 0 retained messages. Nothing was imported; ` +
        'name another file with --into.\n',
    );
  });

  test('a target that a broker uses', async () => {
    writeSource(example().finish());
    const store = await openStore(target, () => {});
    try {
      expect(await refusal(source)).toContain(`${target} is in use by `);
    } finally {
      await store.close();
    }
  });

  test('a target without a folder', async () => {
    writeSource(example().finish());
    const lost = folder.file('missing/martlet.db');
    expect(await refusal(source, '--into', lost)).toBe(`Error: the folder of ${lost} does not exist.\n`);
  });
});
