// Certificates of clients, ours and Debian's mosquitto side by side: whom a listener takes, and under which user name.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { copyFileSync, mkdirSync } from 'node:fs';
import type { ListenerConfig } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { Authority, type Issued, type IssueOptions, openssl, TestFolder } from '../support/authority.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { startServer, type TestServer, until } from '../support/server.ts';
import { attemptTls, clientOptions } from '../support/tls-attempt.ts';

setDefaultTimeout(60_000);

const folder = new TestFolder();
let root: Authority;
let middle: Authority;
let other: Authority;
let good: Issued;
let revoked: Issued;
let goodBelow: Issued;
let revokedBelow: Issued;
let stranger: Issued;
let expired: Issued;

const brokers = ['Martlet', 'Mosquitto'] as const;
type BrokerName = (typeof brokers)[number];
const listenerNames = [
  'plain',
  'lists',
  'middle list',
  'both lists',
  'old list',
  'capath',
  'subject',
  'identity',
  'both names',
  'unasked',
] as const;
type ListenerName = (typeof listenerNames)[number];

let ours: TestServer;
let theirs: Mosquitto;
const portOf = (broker: BrokerName, listener: ListenerName) =>
  broker === 'Martlet' ? ours.ports[listenerNames.indexOf(listener)]! : theirs.ports[listener]!;

beforeAll(async () => {
  root = Authority.root(folder, 'root');
  middle = root.intermediate('middle');
  other = Authority.root(folder, 'other');
  const server = root.issue('server', { subject: '/CN=localhost' });
  [good, revoked, expired] = [
    root.issue('good'),
    root.issue('revoked'),
    root.issue('expired', { until: '20260101000000Z' }),
  ];
  [goodBelow, revokedBelow, stranger] = [
    middle.issue('good-below'),
    middle.issue('revoked-below'),
    other.issue('stranger'),
  ];
  root.revoke(revoked);
  middle.revoke(revokedBelow);
  const capath = folder.join('capath');
  mkdirSync(capath);
  copyFileSync(root.cert, folder.join('capath', 'root.pem'));
  openssl(['rehash', capath]);
  const [rootList, middleList] = [root.list(), middle.list()];

  const tls = [`certfile ${server.cert}`, `keyfile ${server.key}`];
  const mutual = [...tls, `cafile ${root.cert}`, 'require_certificate true'];
  const lines: Record<ListenerName, readonly string[]> = {
    plain: mutual,
    lists: [...mutual, `crlfile ${rootList}`],
    'middle list': [...mutual, `crlfile ${middleList}`],
    'both lists': [...mutual, `crlfile ${folder.joined('both.crl', rootList, middleList)}`],
    'old list': [...mutual, `crlfile ${root.list({ until: '20260101000000Z' })}`],
    capath: [...tls, `capath ${capath}`, 'require_certificate true', `crlfile ${rootList}`],
    subject: [...mutual, 'use_subject_as_username true'],
    identity: [...mutual, 'use_identity_as_username true'],
    'both names': [...mutual, 'use_subject_as_username true', 'use_identity_as_username true'],
    unasked: [...tls, 'use_identity_as_username true'],
  };
  theirs = await startMosquitto(lines);
  ours = await startServer(listenerNames.map((name) => listenerOf(lines[name])));
});
afterAll(async () => {
  await ours.stop();
  await theirs.stop();
  folder.remove();
});

/** What the lines of the file make of a listener, but for its port. */
function listenerOf(lines: readonly string[]): Partial<ListenerConfig> {
  const [listener] = parseConfig(['listener 1883', ...lines].join('\n'), 'test.conf').config.listeners;
  return { ...listener, port: 0, host: '127.0.0.1' };
}

/** The user name that the broker has in its log for the client that came last by this identifier; null: none. */
async function usernameOf(broker: BrokerName, clientId: string): Promise<string | null> {
  const pattern = new RegExp(`New client connected from \\S+ as ${clientId} \\(p[^,]*, c1, k0(?:, u'(.*)')?\\)\\.`);
  const match = broker === 'Martlet' ? await ours.waitForLog(pattern) : await theirs.waitForLog(pattern);
  return match[1] ?? null;
}

const versions = ['TLSv1.2', 'TLSv1.3'] as const;
const newLines = (from: number) => ours.lines.slice(from).filter((line) => line.startsWith('Client connection from'));

describe.each([...brokers])('%s', (broker) => {
  async function expectAccepted(listener: ListenerName, one: Issued, ...issuers: string[]): Promise<void> {
    for (const maxVersion of versions) {
      const outcome = await attemptTls(portOf(broker, listener), { ...clientOptions(one, ...issuers), maxVersion });
      expect(outcome).toMatchObject({ version: maxVersion, reasonCode: 0, error: null });
    }
  }

  /** @param error what our log says */
  async function expectRefused(
    listener: ListenerName,
    error: string,
    one: Issued,
    ...issuers: string[]
  ): Promise<void> {
    for (const maxVersion of versions) {
      const from = ours.lines.length;
      const outcome = await attemptTls(portOf(broker, listener), { ...clientOptions(one, ...issuers), maxVersion });
      expect(outcome.reasonCode).toBeNull();
      if (broker === 'Mosquitto') continue;
      await until('a line', () => newLines(from).length > 0);
      expect(newLines(from)).toEqual([
        expect.stringMatching(new RegExp(`^Client connection from \\S+ rejected, client certificate: ${error}\\.$`)),
      ]);
    }
  }

  test('without crlfile takes every certificate of its authority, and no other', async () => {
    await expectAccepted('plain', good);
    await expectAccepted('plain', revoked);
    await expectAccepted('plain', goodBelow, middle.cert);
    await expectRefused('plain', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', goodBelow);
    await expectRefused('plain', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', stranger);
    await expectRefused('plain', 'CERT_HAS_EXPIRED', expired);
  });

  test('crlfile refuses whom it names, before anything is answered', async () => {
    await expectAccepted('lists', good);
    await expectRefused('lists', 'CERT_REVOKED', revoked);
    await expectRefused('lists', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', stranger);
  });

  test('crlfile has to have the list of the issuer of a client, and that is enough', async () => {
    await expectRefused('lists', 'UNABLE_TO_GET_CRL', goodBelow, middle.cert);
    await expectAccepted('middle list', goodBelow, middle.cert);
    await expectRefused('middle list', 'CERT_REVOKED', revokedBelow, middle.cert);
    await expectRefused('middle list', 'UNABLE_TO_GET_CRL', good);
  });

  test('crlfile may hold several lists', async () => {
    await expectAccepted('both lists', good);
    await expectAccepted('both lists', goodBelow, middle.cert);
    await expectRefused('both lists', 'CERT_REVOKED', revoked);
    await expectRefused('both lists', 'CERT_REVOKED', revokedBelow, middle.cert);
  });

  test('crlfile that has expired refuses everybody', async () => {
    await expectRefused('old list', 'CRL_HAS_EXPIRED', good);
  });

  test('capath is as good as cafile', async () => {
    await expectAccepted('capath', good);
    await expectRefused('capath', 'CERT_REVOKED', revoked);
    await expectRefused('capath', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', stranger);
  });

  const named = (name: string, options: IssueOptions) => root.issue(`${broker}-${name}`, options);

  test.each([
    [
      'usual',
      '/C=DE/ST=NRW/L=Bonn/O=Example/OU=Sensors/CN=device 7',
      'CN=device 7,OU=Sensors,O=Example,L=Bonn,ST=NRW,C=DE',
    ],
    ['escaped', '/O=a, "b" <c>/CN=#1 Größe ', 'CN=\\#1 Gr\\C3\\B6\\C3\\9Fe\\ ,O=a\\, \\"b\\" \\<c\\>'],
    ['joined', '/DC=example/OU=x+UID=7/CN=y', 'CN=y,UID=7+OU=x,DC=example'],
    ['nameless', '/O=Example', 'O=Example'],
  ])('use_subject_as_username takes the whole subject: %s', async (name, subject, username) => {
    const one = named(`subject-${name}`, { subject, request: ['-multivalue-rdn'] });
    const { clientId, reasonCode } = await attemptTls(portOf(broker, 'subject'), clientOptions(one), {
      clientId: `${name}-subject`,
      username: 'somebody',
    });
    expect(reasonCode).toBe(0);
    expect(await usernameOf(broker, clientId)).toBe(username);
  });

  test('use_identity_as_username takes the first Common Name, also beside use_subject_as_username', async () => {
    const one = named('identity', { subject: '/O=Example/CN=Gerät 7/CN=second' });
    for (const listener of ['identity', 'both names'] as const) {
      const { clientId, reasonCode } = await attemptTls(portOf(broker, listener), clientOptions(one), {
        clientId: `with-${listener.replace(' ', '-')}`,
        username: 'somebody',
      });
      expect(reasonCode).toBe(0);
      expect(await usernameOf(broker, clientId)).toBe('Gerät 7');
    }
  });

  test('use_identity_as_username refuses a client without a Common Name, also with another user name', async () => {
    const one = named('nameless', { subject: '/O=Example' });
    for (const packet of [{}, { username: 'somebody', password: 'secret' }]) {
      const port = portOf(broker, 'identity');
      expect(await attemptTls(port, clientOptions(one), packet)).toMatchObject({ reasonCode: 0x86 });
      const older = await attemptTls(port, clientOptions(one), { ...packet, version: ProtocolVersion.v311 });
      expect(older.reasonCode).toBe(4);
    }
  });

  test('use_identity_as_username refuses everybody where nobody is asked for a certificate', async () => {
    const port = portOf(broker, 'unasked');
    expect((await attemptTls(port, {}, { username: 'somebody' })).reasonCode).toBe(0x86);
    expect((await attemptTls(port, clientOptions(good))).reasonCode).toBe(0x86);
    expect((await attemptTls(port, {}, { version: ProtocolVersion.v311 })).reasonCode).toBe(4);
  });
});
