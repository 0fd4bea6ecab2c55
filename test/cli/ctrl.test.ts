// `martlet ctrl` beside Debian's mosquitto_ctrl 2.0, whose only module is dynsec; the module broker is that of 2.1.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { showBrokerAnswer } from '../../src/cli/ctrl-broker.ts';
import { runCtrl } from '../../src/cli/ctrl.ts';
import { defaultSecurityConfig } from '../../src/config/config.ts';
import { MemoryIo } from '../support/client/memory-io.ts';
import { certificateFiles, startServer, type TestServer, tlsListener } from '../support/server.ts';
import { run } from './run-martlet.ts';

setDefaultTimeout(30_000);

const WARNING =
  'Warning: You are running mosquitto_ctrl without encryption.\nThis means all of the configuration changes you are ' +
  'making are visible on the network, including passwords.\n\n';

let folder = '';
let open: TestServer;
let closed: TestServer;
let plain: TestServer;
let silent: Bun.TCPSocketListener;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-ctrl-'));
  open = await startServer([{}, await tlsListener(), { port: 0, unixPath: join(folder, 'mqtt.sock') }], {
    enableControlApi: true,
  });
  closed = await startServer(
    [{}],
    { enableControlApi: true },
    { security: { ...defaultSecurityConfig(), allowAnonymous: false } },
  );
  plain = await startServer();
  silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
});
afterAll(async () => {
  silent.stop(true);
  await Promise.all([open, closed, plain].map((server) => server.stop()));
  rmSync(folder, { recursive: true });
});

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function ctrl(args: readonly string[], env: Record<string, string> = {}, patienceMs?: number): Promise<Result> {
  const io = new MemoryIo();
  io.env = env;
  const status = await runCtrl([...args], io, patienceMs);
  return { status, stdout: io.stdout.text, stderr: io.stderr.text };
}

async function mosquittoCtrl(args: readonly string[]): Promise<Result> {
  const child = Bun.spawn(['mosquitto_ctrl', ...args], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 20_000,
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

const list = ['broker', 'listListeners'];
const port = ({ ports }: TestServer, index = 0) => String(ports[index]);

const listeners = () =>
  `Listener 1:\n  Port:              ${port(open)}\n  Protocol:          mqtt\n  Bind address:      127.0.0.1\n` +
  `  TLS:               false\n\nListener 2:\n  Port:              ${port(open, 1)}\n  Protocol:          mqtt\n` +
  `  Bind address:      127.0.0.1\n  TLS:               true\n\nListener 3:\n  Port:              0\n` +
  `  Protocol:          mqtt\n  Socket path:       ${folder}/mqtt.sock\n  Bind address:      127.0.0.1\n` +
  '  TLS:               false\n\n';

describe('broker', () => {
  test.each([
    ['', () => ['-p', port(open), '-h', '127.0.0.1']],
    ['in MQTT 3.1.1 at QoS 0', () => ['-p', port(open), '-V', '311', '-q', '0', '-i', 'me']],
    ['at QoS 2', () => ['--port', port(open), '--qos', '2']],
    ['by URL', () => ['-L', `mqtt://127.0.0.1:${port(open)}/`]],
    ['by a unix socket', () => ['--unix', join(folder, 'mqtt.sock')]],
  ] as const)('listListeners %s', async (_how, args) => {
    expect(await ctrl([...args(), ...list])).toEqual({ status: 0, stdout: listeners(), stderr: WARNING });
  });

  test('over TLS is not warned of', async () => {
    const { ca } = await certificateFiles();
    const args = ['-h', 'localhost', '-p', port(open, 1), '--cafile', ca!, 'BROKER', 'listlisteners'];
    expect(await ctrl(args)).toEqual({ status: 0, stdout: listeners(), stderr: '' });
  });

  test('listPlugins of a broker without any prints nothing', async () => {
    expect(await ctrl(['-p', port(open), 'broker', 'listPlugins'])).toEqual({ status: 0, stdout: '', stderr: WARNING });
  });

  test('by the command of its own', async () => {
    const { status, stdout } = await run(['ctrl', '-p', port(open), ...list]);
    expect([status, stdout]).toEqual([0, listeners()]);
  });

  test('help tells the commands, with status 0', async () => {
    const { status, stdout, stderr } = await ctrl(['broker', 'help']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^List plugins .*listPlugins\nList listeners .*listListeners\n/m);
  });

  test('of a broker whose control API is not enabled tells what it takes', async () => {
    const { status, stdout, stderr } = await ctrl(['-p', port(plain), ...list]);
    const advice = 'The configuration of the broker needs enable_control_api true.';
    expect([status, stdout, stderr]).toEqual([0, '', `${WARNING}Error: endpoint not available. ${advice}\n`]);
  });

  test('without an answer says so after a while', async () => {
    const { status, stderr } = await ctrl(['-h', '127.0.0.1', '-p', String(silent.port), ...list], {}, 50);
    expect([status, stderr]).toEqual([27, `${WARNING}Error: The broker has not answered within 0.05 seconds.\n`]);
  });

  test('--quiet says nothing of what goes wrong', async () => {
    expect(await ctrl(['--quiet', '-p', port(closed), ...list])).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('options of a file', () => {
  test('hold where the command line says nothing else: of -o, of XDG_CONFIG_HOME and of HOME', async () => {
    const file = `-p ${port(open)}\n# a remark\n-h 127.0.0.1\n--quiet\n`;
    mkdirSync(join(folder, '.config'));
    for (const path of ['options', 'mosquitto_ctrl', '.config/mosquitto_ctrl']) writeFileSync(join(folder, path), file);
    for (const [args, env] of [
      [['-o', join(folder, 'options')], {}],
      [[], { XDG_CONFIG_HOME: folder }],
      [[], { HOME: folder }],
    ] as const) {
      expect(await ctrl([...args, ...list], env)).toEqual({ status: 0, stdout: listeners(), stderr: '' });
    }
    expect((await ctrl(['-p', '1', ...list], { HOME: folder })).status).toBe(14);
  });
});

describe('the exit status is that of mosquitto_ctrl', () => {
  test.each([
    ['nothing', () => [], () => []],
    ['--help', () => ['--help'], () => ['--help']],
    ['--version', () => ['--version'], () => ['--version']],
    ['no command', () => ['dynsec'], () => ['broker']],
    ['a value that is missing', () => ['-p'], () => ['-p']],
    ['an unknown module', () => ['nonesuch', 'help'], () => ['nonesuch', 'help']],
    ['an unknown command', () => ['dynsec', 'nonesuch'], () => ['broker', 'nonesuch']],
    ['help of a module', () => ['dynsec', 'help'], () => ['broker', 'help']],
    ['nobody listens', () => ['-p', '1', 'dynsec', 'listClients'], () => ['-p', '1', ...list]],
    ['no such host', () => ['-h', 'a.invalid', 'dynsec', 'listClients'], () => ['-h', 'a.invalid', ...list]],
    [
      'no such socket',
      () => ['--unix', '/nonexistent', 'dynsec', 'listClients'],
      () => ['--unix', '/nonexistent', ...list],
    ],
    [
      'no such CA',
      () => ['--cafile', '/nonexistent', 'dynsec', 'listClients'],
      () => ['--cafile', '/nonexistent', ...list],
    ],
    ['not authorised', () => ['-p', port(closed), 'dynsec', 'listClients'], () => ['-p', port(closed), ...list]],
    [
      'not authorised in MQTT 3.1.1',
      () => ['-V', '311', '-p', port(closed), 'dynsec', 'listClients'],
      () => ['-V', '311', '-p', port(closed), ...list],
    ],
    ['not answered', () => ['-p', port(plain), 'dynsec', 'listClients'], () => ['-p', port(plain), ...list]],
  ] as const)('%s', async (_name, theirs, ours) => {
    const [expected, got] = await Promise.all([mosquittoCtrl(theirs()), ctrl(ours())]);
    expect(got.status).toBe(expected.status);
    // Where mosquitto_ctrl 2.0 does not know an answer of 2.1, ours does.
    const firstError = (text: string) =>
      /^(?:Connection error|Unable|Error: (?!Module|Payload)).*$/m.exec(text)?.[0] ?? null;
    if (firstError(expected.stderr) !== null) expect(firstError(got.stderr)).toBe(firstError(expected.stderr));
  });

  test('of an unknown option 1, where mosquitto_ctrl 2.0 takes it for a module', async () => {
    const { status, stderr } = await ctrl(['-x', ...list]);
    expect([status, stderr]).toEqual([1, "Error: Unknown option '-x'.\n\nUse 'martlet ctrl --help' to see usage.\n"]);
  });

  test('of the module dynsec that of a module that is not there, and the error names what is', async () => {
    const { status, stderr } = await ctrl(['-p', port(open), 'dynsec', 'listClients']);
    expect(status).toBe(10);
    expect(stderr).toMatch(/^Error: Module 'dynsec' not supported: .* password_file .* acl_file\.\n$/);
  });

  test('of a user without a password 1, where nobody gives one', async () => {
    const { status, stderr } = await run(['ctrl', '-u', 'alice', '-p', port(closed), ...list]);
    expect(status).toBe(1);
    expect(stderr).toEndWith('Password for alice: \nError: Empty password.\nError getting password.\n');
  });
});

describe('an answer', () => {
  const show = (value: unknown) => showBrokerAnswer(new TextEncoder().encode(JSON.stringify(value)));
  const answer = (response: unknown) => show({ responses: [response] });

  test('of plugins is shown as mosquitto_ctrl shows it', () => {
    const plugins = [
      { name: 'dynamic-security', version: '1', 'control-endpoints': ['$CONTROL/a', '$CONTROL/b'] },
      { name: 'other', 'control-endpoints': [] },
    ];
    expect(answer({ command: 'listPlugins', data: { plugins } })).toEqual({
      stdout:
        'Plugin:            dynamic-security\nVersion:           1\nControl endpoints: $CONTROL/a\n' +
        '                   $CONTROL/b\nPlugin:            other\n',
      stderr: '',
    });
  });

  test.each([
    [
      { responses: [{ command: 'listListeners', error: 'Unknown command' }] },
      'listListeners: Error: Unknown command.\n',
    ],
    [{ responses: [] }, 'Error: Payload missing data.\n'],
    [{ responses: [{}] }, 'Error: Payload missing data.\n'],
    [[], 'Error: Payload missing data.\n'],
    [{ responses: [{ command: 'listListeners' }] }, 'Error: Invalid response from server.\n'],
    [{ responses: [{ command: 'listPlugins', data: { plugins: [{}] } }] }, 'Error: Invalid response from server.\n'],
    [{ responses: [{ command: 'listPlugins', error: 'a\u001b[2Jb' }] }, 'listPlugins: Error: a?[2Jb.\n'],
  ])('%j is an error', (value, stderr) => {
    expect(show(value)).toEqual({ stdout: '', stderr });
  });

  test('that is no JSON is an error', () => {
    expect(showBrokerAnswer(Uint8Array.of(0x7b)).stderr).toBe('Error: Payload not JSON.\n');
  });
});
