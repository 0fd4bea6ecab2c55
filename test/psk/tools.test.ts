// `--psk` and what else needs the TLS of Node.js, against Debian's Mosquitto.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePems } from '../support/client/certificates.ts';
import { type Command, run, runOurs, words } from '../support/client/compare-commands.ts';
import { startSocksServer } from '../support/client/socks-server.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { martlet } from '../cli/run-martlet.ts';

const key = '00c0ffee0123456789abcdef';
let server: Mosquitto;

beforeAll(async () => {
  const certificates = ['cafile FOLDER/ca.pem', 'certfile FOLDER/serverCert.pem', 'keyfile FOLDER/serverKey.pem'];
  server = await startMosquitto(
    {
      psk: ['allow_anonymous true', 'psk_hint hint', 'psk_file FOLDER/psk', 'use_identity_as_username true'],
      tls: ['allow_anonymous true', ...certificates],
      open: ['allow_anonymous true'],
    },
    ['per_listener_settings true'],
    async (folder) => {
      await writePems(folder);
      await writeFile(join(folder, 'psk'), `me:${key}\nshort:abc\n`);
    },
  );
});
afterAll(() => server.stop());

const there = '-h 127.0.0.1 -p {psk} --psk-identity me --psk {key}';

function args(line: string): string[] {
  return words(line, { ...server.ports, folder: server.folder, key });
}

describe('--psk', () => {
  test.each(['31', '311', '5'])('version %s: pub and sub', async (version) => {
    const rest = `-t psk/${version} -V ${version} -q 2`;
    expect(await runOurs('pub', args(`${there} ${rest} -m hello -r`))).toEqual({ status: 0, stdout: '', stderr: '' });
    const ours = await runOurs('sub', args(`${there} ${rest} -C 1 -v`));
    expect(ours).toEqual({ status: 0, stdout: `psk/${version} hello\n`, stderr: '' });
    expect(await run('mosquitto_sub', args(`${there} ${rest} -C 1 -v`))).toEqual(ours);
  });

  test('an odd number of digits is a number as well', async () => {
    const line = '-h 127.0.0.1 -p {psk} --psk-identity short --psk abc -t a -m x';
    expect(await runOurs('pub', args(line))).toEqual(await run('mosquitto_pub', args(line)));
  });

  test('rr', async () => {
    const answering = runOurs('rr', args(`${there} -t psk/rr/request -e psk/rr/response -m ping -i asker -v`));
    await server.waitForLog(/Received PUBLISH from asker/);
    await run('mosquitto_pub', args('-h 127.0.0.1 -p {open} -t psk/rr/response -m pong'));
    expect(await answering).toEqual({ status: 0, stdout: 'psk/rr/response pong\n', stderr: '' });
  });

  test('many megabytes pass both ways unchanged', async () => {
    const payload = new Uint8Array(8_000_000);
    for (let i = 0; i < payload.length; i += 997) payload[i] = i;
    const file = join(server.folder, 'large');
    await writeFile(file, payload);
    const child = Bun.spawn([...martlet, 'sub', ...args(`${there} -t psk/large -i large -C 1 -N`)], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    await server.waitForLog(/Sending SUBACK to large/);
    expect((await runOurs('pub', args(`${there} -t psk/large -q 1 -f ${file}`))).status).toBe(0);
    expect(Bun.deepEquals(new Uint8Array(await child.stdout.bytes()), payload)).toBe(true);
    expect(await child.exited).toBe(0);
  }, 30_000);

  test('-l sends every line, and the last one before it leaves', async () => {
    const reader = runOurs('sub', args(`${there} -t psk/lines -i lines -C 3`));
    await server.waitForLog(/Sending SUBACK to lines/);
    expect((await runOurs('pub', args(`${there} -t psk/lines -l`), 'one\ntwo\nthree\n')).status).toBe(0);
    expect((await reader).stdout).toBe('one\ntwo\nthree\n');
  });

  test('through a SOCKS5 proxy', async () => {
    const proxy = await startSocksServer();
    const line = `${there} -t a -m x --proxy socks5h://127.0.0.1:${proxy.port}`;
    expect(await runOurs('pub', args(line))).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(proxy.targets).toEqual([`127.0.0.1:${server.ports['psk']}`]);
    proxy.stop();
  });

  // mosquitto_pub says one or the other, as it happens to be inside of its connection call or behind it.
  test.each([
    ['another key', '-p {psk} --psk-identity me --psk 01'],
    ['an unknown identity', '-p {psk} --psk-identity you --psk {key}'],
    ['a server without TLS', '-p {open} --psk-identity me --psk {key}'],
  ])('%s', async (_name, line) => {
    const list = args(`-h 127.0.0.1 ${line} -t a -m x`);
    const theirs = await run('mosquitto_pub', list);
    expect([1, 8]).toContain(theirs.status);
    expect(theirs.stderr).toMatch(/A TLS error occurred\./);
    const { status, stderr } = await runOurs('pub', list);
    expect(status).toBe(8);
    expect(stderr).toMatch(/^Error: A TLS error occurred\.\nThe TLS handshake failed: .+\n$/);
  });

  // mosquitto_pub 2.0.11 publishes there, to whoever it is.
  test.each(['', '--ciphers HIGH', '--tls-version tlsv1.3'])(
    'a server with a certificate is refused: %s',
    async (more) => {
      const { status, stderr } = await runOurs('pub', args(`${there.replace('{psk}', '{tls}')} -t a -m x ${more}`));
      expect(status).toBe(8);
      expect(stderr).toMatch(/^Error: A TLS error occurred\.\nThe TLS handshake failed: .+\n$/);
    },
  );

  test('the key is on no command line and in no environment', async () => {
    const child = Bun.spawn([...martlet, 'sub', ...args(`${there} -t a -i hidden`)], {
      stdout: 'ignore',
      stderr: 'pipe',
    });
    await server.waitForLog(/Sending SUBACK to hidden/);
    const [helper] = (await Bun.$`pgrep -P ${child.pid}`.text()).trim().split('\n').map(Number);
    for (const file of ['cmdline', 'environ']) {
      expect(readFileSync(`/proc/${helper}/${file}`, 'utf8')).not.toContain(key);
    }
    child.kill('SIGKILL');
    await child.exited;
    // It ends with who started it, however that ends.
    while (existsSync(`/proc/${helper}`)) await Bun.sleep(10);
  });

  test('without Node.js there is a clear error', async () => {
    const list = args(`${there} -t a -m x`);
    const child = Bun.spawn([...martlet, 'pub', ...list], { stderr: 'pipe', env: { PATH: '/nonexistent' } });
    expect(await child.stderr.text()).toBe(
      "Error: --psk needs Node.js 20 or newer, and there is no program 'node' in PATH.\n",
    );
    expect(await child.exited).toBe(1);
  });
});

describe('the TLS of Node.js with certificates', () => {
  const trusting = '-h localhost -p {tls} --cafile {folder}/ca.pem -t a -m x';

  test('--tls-keylog keeps the secrets in a file for its owner only', async () => {
    const file = join(server.folder, 'keylog');
    expect(await runOurs('pub', args(`${trusting} --tls-keylog ${file}`))).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect(readFileSync(file, 'utf8')).toMatch(/^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]+$/m);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test.each<[Command, string, RegExp]>([
    ['pub', '--tls-keylog /nonexistent/file', /the key log cannot be written/],
    ['pub', '--tls-keylog {folder}/log --cafile {folder}/otherCa.pem', /none of the trusted certificates signed it/],
    ['pub', '--tls-version tlsv1.3 --ciphers bogus', /no cipher match/],
  ])('%s %s', async (command, more, why) => {
    const { status, stderr } = await runOurs(command, args(`${trusting} ${more}`));
    expect({ status, first: stderr.split('\n')[0] }).toEqual({ status: 8, first: 'Error: A TLS error occurred.' });
    expect(stderr).toMatch(why);
  });

  test('--ciphers chooses the suites of TLS 1.3', async () => {
    const line = `${trusting} --tls-version tlsv1.3 --ciphers TLS_AES_128_GCM_SHA256`;
    expect((await runOurs('pub', args(line))).status).toBe(0);
  });
});
