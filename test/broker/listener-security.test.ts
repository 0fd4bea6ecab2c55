// Who comes in by which listener, as what, and what a reload makes of those who are there.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AccessControl } from '../../src/auth/access-control.ts';
import { formatPasswordHash, HashKind, hashPassword } from '../../src/auth/password-hash.ts';
import { FileRules } from '../../src/broker/file-rules.ts';
import { defaultListenerInfo, type ListenerInfo } from '../../src/broker/listener-info.ts';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { until } from '../support/server.ts';
import { type ConnectOptions, connectPacket, LogLines, Peer, TestBroker, utf8 } from '../support/test-broker.ts';

const { v31, v311, v5 } = ProtocolVersion;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-security-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string) => join(folder, name);

function write(name: string, ...lines: string[]): string {
  writeFileSync(path(name), `${lines.join('\n')}\n`, { mode: 0o600 });
  return path(name);
}

/** Lines of a password file; each call has new salts. */
async function users(passwords: Readonly<Record<string, string>>, iterations = 1): Promise<string[]> {
  const line = async ([name, password]: [string, string]) =>
    `${name}:${formatPasswordHash(await hashPassword(utf8(password), HashKind.pbkdf2, iterations))}`;
  return Promise.all(Object.entries(passwords).map(line));
}

/** A broker with the listeners and rules of a configuration. */
class RuledBroker extends TestBroker {
  readonly infos: ListenerInfo[];
  private readonly config: Config;
  private readonly rules: FileRules;

  static of(...lines: string[]): RuledBroker {
    const { config } = parseConfig(lines.join('\n'), 'test.conf');
    return new RuledBroker(config, new FileRules(config, new LogLines()));
  }

  constructor(config: Config, rules: FileRules) {
    super({}, {}, rules.access as AccessControl);
    this.config = config;
    this.rules = rules;
    this.infos = config.listeners.map((one) => ({
      ...defaultListenerInfo(),
      access: rules.accessOf(one),
      clientIds: rules.clientIdsOf(one),
      acceptedVersions: rules.acceptedVersionsOf(one),
    }));
  }

  /** Reads the files anew, and takes another configuration with the same listeners. */
  reload(...lines: string[]): void {
    const config = lines.length === 0 ? this.config : parseConfig(lines.join('\n'), 'test.conf').config;
    const listeners = this.config.listeners.map((one, i) => ({ config: one, info: this.infos[i]! }));
    this.rules.reload(this.broker, config, listeners);
  }

  /** A CONNECT by a listener; where it is refused, with the code. */
  async enter(listener: number, options: ConnectOptions = {}): Promise<Peer | number> {
    const peer = new Peer(this, options.version ?? v5, this.infos[listener]!);
    peer.send(connectPacket(options));
    await until('CONNACK', () => {
      this.broker.output.flushAll();
      return peer.raw.length > 0;
    });
    const { reasonCode } = peer.expect(PacketType.connack);
    return reasonCode === 0 ? peer : reasonCode;
  }

  async inside(listener: number, options: ConnectOptions = {}): Promise<Peer> {
    const peer = await this.enter(listener, options);
    if (typeof peer === 'number') throw new Error(`refused with ${peer}`);
    return peer;
  }
}

const topicsOf = (peer: Peer) =>
  peer.take().flatMap((packet) => (packet.type === PacketType.publish ? [packet.topicName] : []));
const { notAuthorized, clientIdentifierNotValid } = ReasonCode;

describe('who comes in', () => {
  test('with per_listener_settings, by which door', async () => {
    const [annFile, bobFile] = [
      write('ann', ...(await users({ ann: 'a' }))),
      write('bob', ...(await users({ bob: 'b' }))),
    ];
    const t = RuledBroker.of(
      'per_listener_settings true',
      'listener 1',
      'allow_anonymous true',
      'listener 2',
      `password_file ${annFile}`,
      'listener 3',
      `password_file ${bobFile}`,
      'allow_anonymous true',
      'listener 4',
    );
    const answers = async (options: ConnectOptions) => {
      const all = [0, 1, 2, 3].map((listener) => t.enter(listener, { clientId: `c${listener}`, ...options }));
      return (await Promise.all(all)).map((one) => (typeof one === 'number' ? one : 'in'));
    };
    const no = notAuthorized;
    expect(await answers({})).toEqual(['in', no, 'in', no]);
    expect(await answers({ username: 'ann', password: 'a' })).toEqual(['in', 'in', no, no]);
    expect(await answers({ username: 'bob', password: 'b' })).toEqual(['in', no, 'in', no]);
    expect(await answers({ username: 'bob', password: 'a' })).toEqual(['in', no, no, no]);
  });

  test('listener_allow_anonymous opens or closes one door, with the users of all', async () => {
    const file = write('ann', ...(await users({ ann: 'a' })));
    const t = RuledBroker.of(
      `password_file ${file}`,
      'listener 1',
      'listener_allow_anonymous true',
      'listener 2',
      'listener 3',
      'listener_allow_anonymous false',
    );
    const anonymous = await Promise.all([0, 1, 2].map((one) => t.enter(one)));
    expect(anonymous.map((one) => typeof one)).toEqual(['object', 'number', 'number']);
    for (const one of [0, 1, 2]) await t.inside(one, { username: 'ann', password: 'a' });
  });

  test('one file that several listeners name is read once: who failed at one door counts at all', async () => {
    const file = write('ann', ...(await users({ ann: 'a' })));
    const t = RuledBroker.of(
      'per_listener_settings true',
      ...['1', '2'].flatMap((port) => [`listener ${port}`, `password_file ${file}`]),
    );
    for (let i = 0; i < 10; i++) await t.enter(i % 2, { username: 'ann', password: 'wrong' });
    expect(await t.enter(0, { username: 'ann', password: 'a' })).toBe(ReasonCode.connectionRateExceeded);
  });
});

describe('which identifier a client has', () => {
  test('made ones begin as the listener says', async () => {
    const t = RuledBroker.of(
      'allow_anonymous true',
      'auto_id_prefix all-',
      'listener 1',
      'listener 2',
      'listener_auto_id_prefix two-',
    );
    const made = async (listener: number) => (await t.inside(listener, { clientId: '' })).connection.clientId;
    expect([await made(0), await made(1)]).toEqual([expect.stringMatching(/^all-/), expect.stringMatching(/^two-/)]);
  });

  test('none is refused where it is not allowed, by listener', async () => {
    const t = RuledBroker.of(
      'per_listener_settings true',
      ...['listener 1', 'allow_anonymous true', 'allow_zero_length_clientid false'],
      ...['listener 2', 'allow_anonymous true'],
    );
    expect(await t.enter(0, { clientId: '' })).toBe(clientIdentifierNotValid);
    expect(await t.enter(0, { clientId: '', version: v311 })).toBe(2);
    await t.inside(1, { clientId: '' });
  });

  test('use_username_as_clientid: the user name, so nobody ends the connection of another user', async () => {
    const t = RuledBroker.of('allow_anonymous true', 'listener 1', 'use_username_as_clientid true', 'listener 2');
    const ann = await t.inside(0, { clientId: 'x', username: 'ann' });
    const bob = await t.inside(0, { clientId: 'x', username: 'bob' });
    expect([ann.connection.clientId, bob.connection.clientId]).toEqual(['ann', 'bob']);
    expect(ann.isClosed).toBe(false);
    await t.inside(0, { clientId: 'y', username: 'ann', version: v311 });
    expect(ann.isClosed).toBe(true);
    expect(await t.enter(0, { clientId: 'x' })).toBe(notAuthorized);
    expect(await t.enter(0, { clientId: 'x', version: v311 })).toBe(5);
    expect((await t.inside(1, { clientId: 'x', username: 'carol' })).connection.clientId).toBe('x');
  });

  test('a client that brought none is told the one of its user name', async () => {
    const t = RuledBroker.of('allow_anonymous true', 'listener 1', 'use_username_as_clientid true');
    const peer = new Peer(t, v5, t.infos[0]!);
    peer.send(connectPacket({ clientId: '', username: 'ann' }));
    expect(peer.expect(PacketType.connack).properties?.assignedClientIdentifier).toBe('ann');
  });

  test('clientid_prefixes: others are not let in', async () => {
    const t = RuledBroker.of('allow_anonymous true', 'clientid_prefixes dev-', 'listener 1');
    await t.inside(0, { clientId: 'dev-1' });
    expect(await t.enter(0, { clientId: 'de' })).toBe(notAuthorized);
    expect(await t.enter(0, { clientId: '' })).toBe(notAuthorized);
    expect(await t.enter(0, { clientId: 'x', version: v31 })).toBe(5);
  });
});

describe('accept_protocol_versions', () => {
  const t = () =>
    RuledBroker.of(
      'allow_anonymous true',
      'listener 1',
      'accept_protocol_versions 4',
      'listener 2',
      'accept_protocol_versions 3,5',
    );

  test('refuses other versions in their own words', async () => {
    const broker = t();
    const answers = [v31, v311, v5].map(async (version) =>
      Promise.all([0, 1].map((listener) => broker.enter(listener, { version, clientId: `c${version}` }))),
    );
    const codes = (await Promise.all(answers)).map((pair) => pair.map((one) => (typeof one === 'number' ? one : 'in')));
    expect(codes).toEqual([
      [1, 'in'],
      ['in', 1],
      [ReasonCode.unsupportedProtocolVersion, 'in'],
    ]);
  });

  test('looks at no more than the version', () => {
    const peer = new Peer(t(), v5, t().infos[0]!);
    // Level 5, then nothing that would be a CONNECT.
    peer.send('10 07 0004 4d515454 05');
    expect(peer.expect(PacketType.connack).reasonCode).toBe(ReasonCode.unsupportedProtocolVersion);
    expect(peer.isClosed).toBe(true);
  });
});

describe('access rules of a listener', () => {
  const setup = () => {
    const [one, two] = [write('acl1', 'topic a/#'), write('acl2', 'topic write #', 'topic read b/#')];
    return RuledBroker.of(
      'per_listener_settings true',
      ...['listener 1', 'allow_anonymous true', `acl_file ${one}`],
      ...['listener 2', 'allow_anonymous true', `acl_file ${two}`],
      ...['listener 3', 'allow_anonymous true'],
    );
  };
  const durable: ConnectOptions = { properties: { sessionExpiryInterval: 1_000 }, cleanStart: false };

  test('are for those who come by it', async () => {
    const t = setup();
    const peers = await Promise.all([0, 1, 2].map((one) => t.inside(one, { clientId: `c${one}` })));
    for (const peer of peers) peer.subscribe('#');
    peers[0]!.publish('b/1', 'refused').publish('a/1', '');
    peers[1]!.publish('b/2', '').publish('a/2', '');
    peers[2]!.publish('b/3', '').publish('a/3', '').publish('c/3', '');
    expect(peers.map(topicsOf)).toEqual([
      ['a/1', 'a/2', 'a/3'],
      ['b/2', 'b/3'],
      ['a/1', 'b/2', 'a/2', 'b/3', 'a/3', 'c/3'],
    ]);
  });

  test('hold for a session whose client is away: those of the listener it came by last', async () => {
    const t = setup();
    const before = await t.inside(0, { clientId: 'd', ...durable });
    before.subscribe('#', 1);
    before.drop();
    const publisher = await t.inside(2, { clientId: 'p' });
    publisher.publish('a/1', '', { qos: 1 }).publish('b/1', '', { qos: 1 });
    expect(t.broker.sessions.get('d')!.outgoing!.queue.length).toBe(1);
    const after = await t.inside(0, { clientId: 'd', ...durable });
    t.broker.output.flushAll();
    after.drop();
    publisher.publish('a/2', '', { qos: 1 });
    // What waits is looked at by the rules of the door its client comes back by.
    const other = await t.inside(1, { clientId: 'd', ...durable });
    publisher.publish('a/3', '', { qos: 1 }).publish('b/3', '', { qos: 1 });
    expect(topicsOf(other)).toEqual(['b/3']);
    other.drop();
    publisher.publish('a/4', '', { qos: 1 }).publish('b/4', '', { qos: 1 });
    expect(topicsOf(await t.inside(1, { clientId: 'd', ...durable }))).toContain('b/4');
  });

  test('change with a reload, for those who are there and those who are away', async () => {
    const t = setup();
    const [here, away] = [await t.inside(0, { clientId: 'here' }), await t.inside(0, { clientId: 'away', ...durable })];
    const other = await t.inside(1, { clientId: 'other' });
    for (const peer of [here, away, other]) peer.subscribe('#', 1);
    away.drop();
    write('acl1', 'topic c/#');
    t.reload();
    const publisher = await t.inside(2, { clientId: 'p' });
    for (const topic of ['a', 'b', 'c']) publisher.publish(`${topic}/1`, '', { qos: 1 });
    expect([topicsOf(here), topicsOf(other)]).toEqual([['c/1'], ['b/1']]);
    expect(topicsOf(await t.inside(2, { clientId: 'away', ...durable }))).toEqual(['c/1']);
    here.publish('a/2', '').publish('c/2', '');
    expect(topicsOf(here)).toEqual(['c/2']);
  });

  test('a listener that names none has none, and the road of a message asks nothing', async () => {
    const t = RuledBroker.of('allow_anonymous true', 'listener 1', 'listener_allow_anonymous true', 'listener 2');
    expect((await t.inside(0)).connection.session!.access).toBeNull();
  });

  test('a file that is wrong at a reload changes nothing, whatever else changed', async () => {
    const t = setup();
    const peer = await t.inside(0);
    peer.subscribe('#');
    write('acl2', 'topic b/#');
    write('acl1', 'topic sideways x');
    expect(() => t.reload()).toThrow(`${path('acl1')}:1: `);
    peer.publish('a/1', '');
    expect(topicsOf(peer)).toEqual(['a/1']);
  });
});

describe('a reload', () => {
  const login = (name: string, password: string): ConnectOptions => ({ clientId: name, username: name, password });

  test.each([1, 20_000])(
    'disconnects users that are gone or have another password; a new hash of the same one is none, %d iterations',
    async (iterations) => {
      const file = write('users', ...(await users({ same: 's', changed: 'c', gone: 'g' }, iterations)));
      const t = RuledBroker.of(`password_file ${file}`, 'listener 1');
      const peers = await Promise.all([
        t.inside(0, login('same', 's')),
        t.inside(0, login('changed', 'c')),
        t.inside(0, login('gone', 'g')),
      ]);
      write('users', ...(await users({ same: 's', changed: 'new' }, iterations)));
      t.reload();
      const [same, changed, gone] = peers;
      expect(gone!.isClosed).toBe(true);
      expect(gone!.expect(PacketType.disconnect).reasonCode).toBe(ReasonCode.administrativeAction);
      await until('the changed user to go', () => changed!.isClosed);
      // Checked one after the other, in the order they came.
      await t.inside(0, { ...login('same', 's'), clientId: 'another' });
      expect(same!.isClosed).toBe(false);
      same!.send('c000');
      expect(same!.expect(PacketType.pingresp)).toBeDefined();
    },
  );

  test('takes other files and switches, each for its listener', async () => {
    const [annFile, bobFile] = [
      write('ann', ...(await users({ ann: 'a' }))),
      write('bob', ...(await users({ bob: 'b' }))),
    ];
    const lines = (rules: string[]) => ['listener 1', ...rules, 'listener 2', 'listener_allow_anonymous true'];
    const t = RuledBroker.of(`password_file ${annFile}`, ...lines(['listener_allow_anonymous true']));
    const [ann, nobody, other] = [
      await t.inside(0, login('ann', 'a')),
      await t.inside(0, { clientId: 'nobody' }),
      await t.inside(1, { clientId: 'other' }),
    ];
    t.reload(`password_file ${bobFile}`, 'clientid_prefixes x', ...lines([]));
    expect([ann, nobody, other].map(({ isClosed }) => isClosed)).toEqual([true, true, false]);
    await t.inside(0, { ...login('bob', 'b'), clientId: 'x' });
    expect(await t.enter(0, login('bob', 'b'))).toBe(notAuthorized);
  });

  test('keeps clients whose certificate or key proved their name', async () => {
    const file = write('users', ...(await users({ ann: 'a' })));
    const t = RuledBroker.of(`password_file ${file}`, 'listener 1');
    const peer = new Peer(t, v5, t.infos[0]!);
    peer.connection.transportUsername = 'device-7';
    peer.send(connectPacket({}));
    expect(peer.expect(PacketType.connack).reasonCode).toBe(0);
    t.reload();
    expect(peer.isClosed).toBe(false);
    expect(peer.connection.username).toBe('device-7');
  });
});

test('a password never reaches the log', async () => {
  const file = write('users', ...(await users({ ann: 'correct-horse' })));
  const t = RuledBroker.of(`password_file ${file}`, 'listener 1');
  await t.enter(0, { username: 'ann', password: 'correct-horse' });
  await t.enter(0, { username: 'ann', password: 'battery-staple' });
  expect(t.log.lines.join('\n')).not.toMatch(/correct-horse|battery-staple/);
  expect(t.log.lines.length).toBeGreaterThan(1);
});
