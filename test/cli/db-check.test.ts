// `martlet db check`: a sound store passes, and each way to be unsound is told.
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import type { StoreBatch } from '../../src/storage/store-batch.ts';
import { martletDb, message, openStore, putDelivery, session, TestFolder, writeStore } from './db-store.ts';

let folder: TestFolder;
let path: string;

beforeEach(async () => {
  folder = await TestFolder.make();
  path = folder.file('martlet.db');
});
afterEach(() => folder.remove());

function fill(batch: StoreBatch): void {
  const will = { message: message('will'), messageExpiryInterval: null, delayInterval: 0 };
  batch.putSession(session(1, 'one', { sentSeq: 2, will }));
  batch.putSession(session(2, 'two'));
  batch.putSubscription(1, { filterText: 'a/#', qos: 1, noLocal: false, retainAsPublished: false, identifier: 0 });
  batch.putMessage(1, 3, message('a', 'shared'));
  batch.putMessage(2, 1, message('b'));
  putDelivery(batch, 1, 1, 1, { packetId: 5 });
  putDelivery(batch, 2, 1, 1, { packetId: 6 });
  putDelivery(batch, 3, 2, 1, { packetId: 5 });
  putDelivery(batch, 4, 2, 2, { qos: 0, packetId: 0 });
  batch.putIncoming(2, 9, 0);
  batch.putRetained(message('r'));
}

/** Changes the file behind the store's back. */
function tamper(...statements: string[]): void {
  const db = new Database(path, { readwrite: true });
  for (const sql of statements) db.run(sql);
  db.close();
}

test('finds nothing in a sound store, also while a broker writes', async () => {
  const store = await openStore(path, fill);
  try {
    expect(await martletDb('check', path)).toEqual({ status: 0, stdout: `${path} is sound.\n`, stderr: '' });
    expect(JSON.parse((await martletDb('check', '--json', path)).stdout)).toEqual({
      path,
      isSound: true,
      findings: [],
    });
  } finally {
    await store.close();
  }
});

describe('finds', () => {
  test.each([
    [
      'a message that is still there after its last use',
      'DELETE FROM delivery_row WHERE seq = 4; UPDATE meta SET deliveries = 3',
      'a message whose references are not as many as its uses: message 2 with 1 and 0',
    ],
    [
      'a message with too few references',
      'UPDATE message SET refs = 2 WHERE id = 1',
      'a message whose references are not as many as its uses: message 1 with 2 and 3',
    ],
    [
      'a delivery whose message is gone',
      'DELETE FROM message WHERE id = 2',
      'a delivery without a message: delivery 4 of session 2',
    ],
    [
      'an incoming message that is gone',
      'UPDATE incoming SET message = 77',
      'an incoming message that is not there: packet 9 of session 2',
    ],
    [
      'what a session left',
      'DELETE FROM session WHERE id = 2; UPDATE meta SET sessions = 1',
      'a delivery without a session: 2 times: delivery 3 of session 2, delivery 4 of session 2',
    ],
    [
      'incoming messages of a session that is gone',
      'DELETE FROM session WHERE id = 2; UPDATE meta SET sessions = 1',
      'an incoming message without a session: packet 9 of session 2',
    ],
    [
      'subscriptions of a session that is gone',
      'UPDATE subscription SET session = 9',
      'a subscription without a session: a/# of session 9',
    ],
    [
      'a filter that MQTT does not allow',
      "UPDATE subscription SET filter = 'a#'",
      'a subscription that MQTT does not allow: a# of one',
    ],
    ['a will of a session that is gone', 'UPDATE will SET session = 9', 'a will without a session: 9'],
    ['a session whose will is gone', 'DELETE FROM will', 'a session whose will is missing, or not announced: one'],
    [
      'one packet identifier for two messages in flight',
      'UPDATE delivery_row SET packet_id = 5 WHERE seq = 2',
      'a packet identifier in flight twice: 5 of session 1',
    ],
    [
      'a message without packet identifier',
      'UPDATE delivery_row SET packet_id = 0 WHERE seq = 3',
      'a delivery without a packet identifier: delivery 3 of session 2',
    ],
    [
      'a QoS that there is not',
      'UPDATE delivery_row SET flags = 3 WHERE seq = 4',
      'a delivery with a QoS that there is not: delivery 4 of session 2',
    ],
    [
      'a topic that MQTT does not allow',
      "UPDATE retained SET topic = 'x/+'",
      "a message that MQTT does not allow: retained 1 on 'x/+'",
    ],
    ['a count that is wrong', 'UPDATE meta SET deliveries = 5', 'table delivery has 4 rows, and 5 are counted'],
    [
      'numbers that would be given again',
      'UPDATE meta SET last_seq = 3',
      'table delivery has number 4, and 3 was given last',
    ],
    ['a missing row of counters', 'DELETE FROM meta', 'the row of counters is there 0 times'],
  ])('%s', async (_, sql, text) => {
    await writeStore(path, fill);
    tamper(...sql.split('; '));
    const { status, stdout, stderr } = await martletDb('check', path);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^${path} has \\d+ faults?:\n`));
    expect(stdout.split('\n')).toContain(`  ${text}`);
  });

  test('many of a kind, and shows a few of them', async () => {
    await writeStore(path, (batch) => {
      batch.putSession(session(1, 'one'));
      batch.putMessage(1, 1_500, message('a'));
      for (let seq = 1; seq <= 1_500; seq++) putDelivery(batch, seq, 1, 1);
    });
    tamper('UPDATE delivery_row SET session = 2');
    const { stdout } = await martletDb('check', path);
    const some = [1, 2, 3].map((seq) => `delivery ${seq} of session 2`).join(', ');
    expect(stdout).toBe(`${path} has 1 fault:\n  a delivery without a session: 1,500 times: ${some}, ...\n`);
    expect(JSON.parse((await martletDb('check', '--json', path)).stdout)).toMatchObject({
      isSound: false,
      findings: [{ what: 'a delivery without a session', count: 1_500 }],
    });
  });

  test('pages that were written over, wherever they are', async () => {
    await writeStore(path, (batch) => {
      batch.putSession(session(1, 'one'));
      for (let id = 1; id <= 400; id++) {
        batch.putMessage(id, 1, message(`topic/${id}`, 'x'.repeat(100)));
        putDelivery(batch, id, 1, id);
      }
    });
    const original = readFileSync(path);
    const pages = statSync(path).size / 4_096;
    for (let page = 1; page < pages; page += 3) {
      const file = openSync(path, 'r+');
      writeSync(file, original, 0, original.length, 0);
      writeSync(file, Buffer.alloc(4_096, 0xa5), 0, 4_096, page * 4_096);
      closeSync(file);
      const { status, stdout, stderr } = await martletDb('check', path);
      expect(status).toBe(1);
      expect(stdout + stderr).toContain(path);
    }
  });
});
