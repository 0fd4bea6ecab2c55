// The parser of mosquitto.db: every format and layout, and files that are damaged in every way.
import { describe, expect, test } from 'bun:test';
import { IdTable } from '../../src/storage/mosquitto-db-columns.ts';
import { MosquittoDb } from '../../src/storage/mosquitto-db.ts';
import { MosquittoState } from '../../src/storage/mosquitto-db-records.ts';
import { MosquittoDbError } from '../../src/storage/mosquitto-db-source.ts';
import { Random, seedFrom } from '../support/codec/random.ts';
import { BytesSource, Records } from './mosquitto-db-records.ts';
import { MosquittoDbWriter, type WriterLayout } from './mosquitto-db-writer.ts';

const SOON = 1_900_000_000;

const layouts: readonly WriterLayout[] = [
  { format: 2 },
  { format: 3, timeSize: 8 },
  { format: 3, timeSize: 4 },
  { format: 3, timeSize: 4, isBigEndian: true },
  { format: 4 },
  { format: 5 },
  { format: 5, isCompact: true },
  { format: 6 },
  { format: 6, isCompact: true },
  { format: 6, isBigEndian: true },
];

/** One of everything. */
function everything(layout: WriterLayout): MosquittoDbWriter {
  return new MosquittoDbWriter(layout)
    .config()
    .message({ id: 1, topicName: 'a/é', payload: 'first', sourceId: 'publisher', username: 'ann', qos: 2 })
    .message({ id: 2, topicName: 'b', retain: true, expiryTime: SOON, properties: [3, 0x03, 0, 0] })
    .client({ clientId: 'one', lastPacketId: 7, expiryInterval: 60, expiryTime: SOON, username: 'bob' })
    .clientMessage({
      clientId: 'one',
      messageId: 1,
      packetId: 7,
      qos: 2,
      state: MosquittoState.waitForPubrec,
      dup: true,
    })
    .clientMessage({ clientId: 'one', messageId: 2, packetId: 8, qos: 1, state: 11, retain: true, identifier: 77 })
    .clientMessage({ clientId: 'one', messageId: 1, packetId: 9, qos: 2, state: 7, isIncoming: true })
    .subscription({ clientId: 'one', filterText: 'a/#', qos: 2, options: 12, identifier: 77 })
    .retained(2);
}

describe.each([...layouts])('%o', (layout) => {
  const hasStructs = layout.format >= 5;
  const bytes = everything(layout).finish();

  test('gives each record with all that its format has', () => {
    const { messages, clients, clientMessages, subscriptions, retainedIds, count } = Records.read(bytes);
    expect(count).toBe(9);
    expect(messages).toMatchObject([
      { topicName: 'a/é', topicLength: 4, sourceId: 'publisher', qos: 2, retain: false, expiryTime: 0 },
      { topicName: 'b', sourceId: '', qos: 1, retain: true, expiryTime: hasStructs ? SOON : 0 },
    ]);
    expect(messages.map(({ payload }) => Buffer.from(payload!).toString())).toEqual(['first', '']);
    expect([...messages[1]!.properties]).toEqual(hasStructs ? [3, 0x03, 0, 0] : []);
    expect(clients).toMatchObject([
      {
        clientId: 'one',
        lastPacketId: 7,
        expiryInterval: hasStructs ? 60 : 0xffff_ffff,
        expiryTime: hasStructs ? SOON : 0,
        disconnectTime: layout.format === 3 || layout.format === 4 ? 1_700_000_000 : 0,
        username: layout.format >= 6 ? 'bob' : '',
        listenerPort: layout.format >= 6 ? 1883 : 0,
      },
    ]);
    expect(clientMessages).toMatchObject([
      { clientId: 'one', packetId: 7, qos: 2, state: 5, dup: true, retain: false, isOutgoing: true },
      { clientId: 'one', packetId: 8, qos: 1, state: 11, dup: false, retain: true, isOutgoing: true },
      { clientId: 'one', packetId: 9, qos: 2, state: 7, isOutgoing: false },
    ]);
    expect(clientMessages.map(({ messageId }) => messageId)).toEqual([
      messages[0]!.id,
      messages[1]!.id,
      messages[0]!.id,
    ]);
    expect([...clientMessages[1]!.properties]).toEqual(hasStructs ? [2, 0x0b, 77] : []);
    expect(subscriptions).toMatchObject([
      { clientId: 'one', filterText: 'a/#', qos: 2, noLocal: hasStructs, retainAsPublished: hasStructs },
    ]);
    expect(retainedIds).toHaveLength(1);
  });

  test('cut off anywhere but between two chunks, is refused with the place', () => {
    const borders = new Set(chunkBorders(bytes));
    for (let length = 1; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      if (borders.has(length)) expect(() => Records.read(cut)).not.toThrow();
      else expect(offsetOfError(cut)).toBeLessThanOrEqual(length);
    }
  });

  test('an unknown chunk is passed over, like in Mosquitto', () => {
    const writer = everything(layout);
    const records = Records.read(
      writer.chunk(99, [1, 2, 3]).subscription({ clientId: 'x', filterText: 'y', qos: 0 }).finish(),
    );
    expect(records.unknownTypes).toEqual([99]);
    expect(records.subscriptions).toHaveLength(2);
  });
});

/** Where the file may end: after the header and after each chunk. */
function chunkBorders(bytes: Uint8Array): number[] {
  const db = new MosquittoDb(new BytesSource(bytes));
  const records = new Records();
  const borders = [db.position];
  while (db.next(records)) borders.push(db.position);
  return borders;
}

function errorOf(bytes: Uint8Array): MosquittoDbError {
  try {
    Records.read(bytes);
  } catch (error) {
    if (error instanceof MosquittoDbError) return error;
    throw error;
  }
  throw new Error('was read without an error');
}

function offsetOfError(bytes: Uint8Array): number {
  return errorOf(bytes).offset;
}

describe('what is no mosquitto.db', () => {
  test.each([
    ['an empty file', new Uint8Array(0), 'the file is empty', 0],
    ['zeroes, as a loss of power leaves', new Uint8Array(5_000), 'nothing but zeroes', 0],
    ['a database of SQLite', new TextEncoder().encode('SQLite format 3\0...........'), 'not a mosquitto.db', 0],
    ['a few bytes', Uint8Array.of(0, 0xb5), 'not a mosquitto.db', 0],
  ])('%s', (_, bytes, text, offset) => {
    expect(errorOf(bytes)).toMatchObject({ offset, message: expect.stringContaining(text) });
  });

  test.each([0, 1, 7, 0xffff_ffff])('format %d', (format) => {
    const error = errorOf(new MosquittoDbWriter({ format }).finish());
    expect(error).toMatchObject({ offset: 19, message: `the file has format ${format}; formats 2 to 6 can be read` });
  });

  test('message ids of 4 bytes', () => {
    expect(errorOf(new MosquittoDbWriter({ format: 6 }).config(4).finish()).message).toBe(
      'message ids of 4 bytes; 8 are expected',
    );
  });
});

describe('lengths that do not fit', () => {
  const start = () => new MosquittoDbWriter({ format: 6 }).config();
  const head = start().length;

  test.each([
    [
      'a chunk longer than the file',
      start().chunk(2, [1, 2, 3], 0xffff_ffff),
      head,
      'of 4294967295 bytes: 3 are there',
    ],
    ['an unknown chunk longer than the file', start().chunk(99, [], 5), head, 'type 99'],
    ['a retained chunk of 7 bytes', start().chunk(4, Array(7).fill(1)), head + 8, 'the chunk ends in the middle'],
    // A client with an identifier of 9 bytes in a chunk that has room for 1.
    [
      'a client',
      start().chunk(6, [...Array(14).fill(0), 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 65]),
      head,
      'identifier and user name of 9',
    ],
    // A payload of 256 MiB in a chunk of 40 bytes.
    [
      'a payload',
      start().chunk(2, [...Array(16).fill(0), 0x0f, 0xff, 0xff, 0xff, ...Array(20).fill(0)]),
      head + 40,
      'chunk ends',
    ],
  ])('%s', (_, writer, offset, text) => {
    expect(errorOf(writer.finish())).toMatchObject({ offset, message: expect.stringContaining(text) });
  });

  test('a payload larger than MQTT can carry', () => {
    const body = [...Array(16).fill(0), 0x10, 0, 0, 0, ...Array(12).fill(0)];
    expect(errorOf(start().chunk(2, body).finish()).message).toContain('more than MQTT can carry');
  });

  test('a payload that an old format says to be larger than the file is not allocated', () => {
    const writer = new MosquittoDbWriter({ format: 3 }).config();
    writer.chunk(2, [...Array(8).fill(0), 0, 0, 0, 0, 0, 0, 0, 1, 65, 1, 0, 0x0f, 0xff, 0xff, 0xff]);
    expect(errorOf(writer.finish())).toMatchObject({ message: expect.stringContaining('the file ends in the middle') });
  });
});

test('a user name with a zero byte, which Mosquitto 2.0 writes for a client that has none, is none', () => {
  const bytes = new MosquittoDbWriter({ format: 6 })
    .client({ clientId: 'a', username: 'bob' })
    .client({ clientId: 'b', username: `bob\0${'x'.repeat(764)}` })
    .finish();
  expect(Records.read(bytes).clients.map(({ username }) => username)).toEqual(['bob', '']);
});

test('texts that MQTT does not allow are given as null', () => {
  const bytes = new MosquittoDbWriter({ format: 6 })
    .message({ id: 1, topicName: Uint8Array.of(0x61, 0xff) })
    .client({ clientId: Uint8Array.of(0xc0, 0x80) })
    .finish();
  const { messages, clients } = Records.read(bytes);
  expect([messages[0]!.topicName, clients[0]!.clientId]).toEqual([null, null]);
});

test('identifiers are told apart in all their 64 bits', () => {
  const ids = [1n, 0x1_0000_0001n, 0x7fff_ffff_ffff_fffen, 0x7fff_ffff_ffff_ffffn];
  const writer = new MosquittoDbWriter({ format: 6 });
  for (const id of ids) writer.message({ id, topicName: 't' });
  expect(new Set(Records.read(writer.finish()).messages.map(({ id }) => `${id.high}:${id.low}`)).size).toBe(4);
});

test('a table of identifiers gives back what it was given, whatever they share', () => {
  const table = new IdTable();
  const idAt = (i: number) => ({ low: (i * 0x1000) >>> 0, high: i % 3 });
  for (let i = 0; i < 20_000; i++) table.add(idAt(i), i);
  expect(table.size).toBe(20_000);
  for (let i = 0; i < 20_000; i++) if (table.get(idAt(i)) !== i) throw new Error(`identifier ${i} is lost`);
  expect([table.get({ low: 1, high: 0 }), table.get({ low: 0, high: 1 })]).toEqual([-1, -1]);
});

test('a message larger than the window of the reader comes whole, and one that nobody wants is not read', () => {
  const payload = crypto.getRandomValues(new Uint8Array(50_000));
  const large = new Uint8Array(700_000).map((_, i) => payload[i % payload.length]!);
  const header = new MosquittoDbWriter({ format: 6 });
  for (let id = 1; id <= 3; id++) header.message({ id, topicName: `t/${id}` });
  // Written by hand: the writer of tests is made for small files.
  const bytes = withPayloads(header.finish(), large);
  const records = Records.read(bytes);
  expect(records.messages.map(({ topicName, payload: one }) => [topicName, Bun.hash(one!)])).toEqual(
    [1, 2, 3].map((id) => [`t/${id}`, Bun.hash(large)]),
  );
  const source = new BytesSource(bytes);
  const db = new MosquittoDb(source);
  const visitor = new Records();
  visitor.wantsPayload = () => false;
  while (db.next(visitor));
  expect(visitor.messages.map(({ payload: one }) => one)).toEqual([null, null, null]);
  expect(source.bytesRead).toBeLessThan(bytes.length / 2);
});

/** Gives each message, which has none, a payload. */
function withPayloads(bytes: Uint8Array, payload: Uint8Array): Uint8Array {
  const borders = chunkBorders(bytes);
  const pieces: Uint8Array[] = [bytes.subarray(0, borders[0])];
  for (let i = 1; i < borders.length; i++) {
    const chunk = bytes.slice(borders[i - 1], borders[i]);
    const view = new DataView(chunk.buffer);
    view.setUint32(4, view.getUint32(4) + payload.length);
    view.setUint32(8 + 16, payload.length);
    pieces.push(chunk, payload);
  }
  return Buffer.concat(pieces);
}

/** MARTLET_FUZZ_SEED repeats a run, MARTLET_FUZZ_COUNT changes its length. */
const seed = seedFrom('MARTLET_FUZZ_SEED');
const count = Number(process.env['MARTLET_FUZZ_COUNT'] ?? 60_000) / 10;

test(`damaged files give records or a MosquittoDbError, and end (MARTLET_FUZZ_SEED=${seed})`, () => {
  const random = new Random(seed);
  const originals = layouts.map((layout) => everything(layout).finish());
  let failures = 0;
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    for (let i = 0; i < count; i++) {
      const bytes = damaged(random.pick(originals), random);
      const source = new BytesSource(bytes);
      const records = new Records();
      try {
        const db = new MosquittoDb(source);
        let steps = 0;
        // The smallest chunk has 6 bytes.
        while (db.next(records)) expect(++steps).toBeLessThanOrEqual(bytes.length / 6);
      } catch (error) {
        if (!(error instanceof MosquittoDbError)) throw error;
        failures++;
        expect(error.offset).toBeWithin(0, bytes.length + 1);
      }
      const payloads = records.messages.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
      expect(payloads).toBeLessThanOrEqual(bytes.length);
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  // Most damage hits a length, a magic or a format.
  expect(failures).toBeWithin(count / 10, count);
});

function damaged(original: Uint8Array, random: Random): Uint8Array {
  const bytes = original.slice();
  const changes = 1 + random.below(3);
  for (let i = 0; i < changes; i++) {
    const at = random.below(8) === 0 ? random.below(bytes.length) : 23 + random.below(bytes.length - 23);
    switch (random.below(4)) {
      case 0:
        bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
        break;
      case 1:
        bytes[at] = random.below(256);
        break;
      case 2:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 3:
        if (at + 4 <= bytes.length)
          new DataView(bytes.buffer).setUint32(at, random.pick([0, 1, 0xffff, 0xffff_ffff, 0x7fff_ffff]));
    }
  }
  return random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length) + 1) : bytes;
}
