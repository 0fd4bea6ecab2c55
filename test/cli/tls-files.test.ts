// Files of TLS listeners, from the configuration to exit status and log.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { copyFileSync, writeFileSync } from 'node:fs';
import { Authority, type Issued, TestFolder } from '../support/authority.ts';
import { attemptTls } from '../support/tls-attempt.ts';
import { WireClient } from '../support/wire-client.ts';
import { run, Running } from './run-martlet.ts';

setDefaultTimeout(30_000);

const folder = new TestFolder();
let root: Authority;
let first: Issued;
let second: Issued;
beforeAll(() => {
  root = Authority.root(folder, 'root');
  first = root.issue('first');
  second = root.issue('second');
});
afterAll(() => folder.remove());

const configuration = (...lines: string[]) =>
  folder.write('martlet.conf', ['listener 0 127.0.0.1', 'allow_anonymous true', ...lines, ''].join('\n'));

test('a broker with files that are wrong ends with status 1 and says why once; --test-config says the same', async () => {
  for (const [lines, text] of [
    [
      [`certfile ${first.cert}`, `keyfile ${second.key}`],
      `Unable to load certfile "${first.cert}": the key of "${second.key}" does not belong to the certificate in it.`,
    ],
    [[`certfile /no/file`, `keyfile ${first.key}`], 'Unable to load certfile "/no/file": no such file or directory.'],
    [
      [`certfile ${first.cert}`, `keyfile ${first.key}`, `crlfile ${root.cert}`],
      `Unable to load crlfile "${root.cert}": it holds no revocation list in PEM (BEGIN X509 CRL).`,
    ],
    [
      [`certfile ${first.cert}`, `keyfile ${first.key}`, 'ciphers_tls1.3 TLS_NONE'],
      'Unable to set ciphers_tls1.3 "TLS_NONE": ',
    ],
  ] as const) {
    const path = configuration(...lines);
    const started = await run(['broker', '-c', path]);
    expect(started.status).toBe(1);
    const errors = started.stderr.split('\n').filter((line) => line.includes('Unable to'));
    expect(errors).toEqual([expect.stringContaining(`Error: ${text}`)]);
    const tested = await run(['broker', '--test-config', '-c', path]);
    expect(tested).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(`Error: ${text}`) });
  }
});

test('engines of OpenSSL are refused with file and line, and what to do', async () => {
  const path = configuration(`certfile ${first.cert}`, `keyfile ${first.key}`, 'tls_engine tpm2', 'tls_keyform engine');
  const { status, stderr } = await run(['broker', '-c', path]);
  expect(status).toBe(3);
  const advice =
    "OpenSSL's engines are not available: put the private key into a file in PEM, name it with keyfile, " +
    'and leave the options of the engine out';
  expect(stderr).toBe(`Error: ${path}:5: tls_engine: ${advice}\nError: ${path}:6: tls_keyform: ${advice}\n`);
});

test('SIGHUP takes a renewed certificate; a broken one is named in the log, and the one of before goes on', async () => {
  const [cert, key] = [folder.join('live.pem'), folder.join('live.key')];
  const renew = (one: Issued) => {
    copyFileSync(one.cert, cert);
    copyFileSync(one.key, key);
  };
  renew(first);
  await using broker = new Running(['broker', '-c', configuration(`certfile ${cert}`, `keyfile ${key}`)]);
  const port = await broker.port();
  const client = await WireClient.connect(port, { clientId: 'stays', tls: { rejectUnauthorized: false } });
  expect(await attemptTls(port)).toMatchObject({ serverName: 'first', reasonCode: 0 });

  renew(second);
  broker.child.kill('SIGHUP');
  await broker.output('stderr', /SIGHUP: .* read anew/);
  expect(await attemptTls(port)).toMatchObject({ serverName: 'second', reasonCode: 0 });

  writeFileSync(cert, 'nothing');
  broker.child.kill('SIGHUP');
  await broker.output('stderr', /SIGHUP: what these lines tell of stays as it was/);
  expect(broker.stderr).toContain(`Error: Unable to load certfile "${cert}": it holds no certificate in PEM.`);
  expect(await attemptTls(port)).toMatchObject({ serverName: 'second', reasonCode: 0 });
  await client.ping();
  client.reset();
});
