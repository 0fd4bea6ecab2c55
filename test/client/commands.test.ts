// The same command lines with Mosquitto's clients and with ours, against one Mosquitto: same output, same exit status.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runPub } from '../../src/cli/pub.ts';
import { runSub } from '../../src/cli/sub.ts';
import { writePems } from '../support/client/certificates.ts';
import { MemoryIo } from '../support/client/memory-io.ts';
import { freePort, type Mosquitto, startMosquitto } from '../support/mosquitto.ts';

interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

interface Case {
  readonly args: string;
  readonly stdin?: string | Uint8Array;
  /** Brings the server into the same state for each of the two. */
  readonly before?: () => Promise<void>;
  /** Done once the command has subscribed; the arguments must hold `-i ID`. */
  readonly whenSubscribed?: () => Promise<void>;
}

let server: Mosquitto;
let closedPort: number;

beforeAll(async () => {
  closedPort = freePort();
  const tls = (cert: string) => [
    'cafile FOLDER/ca.pem',
    `certfile FOLDER/${cert}Cert.pem`,
    `keyfile FOLDER/${cert}Key.pem`,
  ];
  server = await startMosquitto(
    {
      open: ['allow_anonymous true'],
      closed: ['allow_anonymous false', 'password_file FOLDER/passwords', 'acl_file FOLDER/acl'],
      tls: ['allow_anonymous true', ...tls('server')],
      stranger: ['allow_anonymous true', ...tls('stranger')],
      mutual: ['allow_anonymous true', ...tls('server'), 'require_certificate true'],
      small: ['allow_anonymous true', 'max_qos 1', 'message_size_limit 0'],
    },
    ['per_listener_settings true', 'max_keepalive 60'],
    async (folder) => {
      await writePems(folder);
      await mkdir(join(folder, 'hashed'));
      await symlink(join(folder, 'ca.pem'), join(folder, 'hashed', `${subjectHash(folder)}.0`));
      await mkdir(join(folder, 'empty'));
      await writeFile(join(folder, 'passwords'), '');
      await run('mosquitto_passwd', ['-b', join(folder, 'passwords'), 'alice', 'secret']);
      await writeFile(join(folder, 'acl'), 'user alice\ntopic readwrite mine/#\n');
      await writeFile(join(folder, 'message'), 'from a file\n');
    },
  );
});

afterAll(() => server.stop());

function subjectHash(folder: string): string {
  const result = Bun.spawnSync(['openssl', 'x509', '-in', join(folder, 'ca.pem'), '-noout', '-subject_hash']);
  return result.stdout.toString().trim();
}

async function run(program: string, args: readonly string[], stdin: string | Uint8Array = ''): Promise<Result> {
  const child = Bun.spawn([program, ...args], {
    stdin: new Blob([stdin]),
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, HOME: server?.folder ?? '/nonexistent' },
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

async function runOurs(command: 'pub' | 'sub', args: string[], stdin: string | Uint8Array = ''): Promise<Result> {
  const io = new MemoryIo(stdin);
  const status = await (command === 'pub' ? runPub(args, io) : runSub(args, io));
  return { status, stdout: io.stdout.text, stderr: io.stderr.text };
}

/** Words of a command line, with quotes as in a shell, and names in braces filled in. */
function words(line: string): string[] {
  const filled = line
    .replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      String(server.ports[name] ?? (name === 'refused' ? closedPort : name)),
    )
    .replaceAll('FOLDER', server.folder);
  return [...filled.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

/** What may differ: names of the programs, identifiers the server makes up, the process id, the time of day. */
function comparable(command: string, { status, stdout, stderr }: Result): Result {
  const same = (text: string) =>
    text
      .replaceAll(`mosquitto_${command}`, `martlet ${command}`)
      .replaceAll(/auto-[-0-9A-F]{36}/g, 'auto-X')
      .replaceAll(/mosq-[A-Za-z0-9]{18}/g, 'mosq-X')
      .replaceAll(/pre\d+/g, 'pre-PID')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+Z)?/g, 'TIME');
  return { status, stdout: same(stdout), stderr: same(stderr) };
}

async function compare(command: 'pub' | 'sub', one: Case): Promise<Result> {
  const args = words(one.args);
  const results: Result[] = [];
  for (const runner of [(list: string[]) => run(`mosquitto_${command}`, list, one.stdin), undefined]) {
    await one.before?.();
    let list = args;
    let follow: Promise<unknown> = Promise.resolve();
    if (one.whenSubscribed !== undefined) {
      const at = args.indexOf('-i') + 1;
      const id = `${args[at]}-${runner === undefined ? 'ours' : 'theirs'}`;
      list = args.with(at, id);
      follow = server.waitForLog(new RegExp(`Sending SUBACK to ${id}`)).then(one.whenSubscribed);
    }
    const running = runner === undefined ? runOurs(command, list, one.stdin) : runner(list);
    await follow;
    results.push(comparable(command, await running));
  }
  const [theirs, ours] = results;
  const trim = (result: Result | undefined) => JSON.stringify(result).replaceAll(/-(?:ours|theirs)/g, '');
  expect(JSON.parse(trim(ours))).toEqual(JSON.parse(trim(theirs)));
  return ours!;
}

const there = '-h 127.0.0.1 -p {open}';
const locked = '-h 127.0.0.1 -p {closed}';

async function publish(...lines: string[]): Promise<void> {
  for (const line of lines) await run('mosquitto_pub', words(`${there} ${line}`));
}

describe('pub: command lines that are not taken', () => {
  test.each([
    '-h',
    '-p',
    '-p -1',
    '-p 65536',
    '-t',
    '-t a/#',
    '-t +',
    '-m',
    '-m x -m y',
    '-m x -n',
    '-s -l',
    '-f',
    '-f a -l',
    '-q',
    '-q 3 -t a -m x',
    '-q -1 -t a -m x',
    '-i',
    '-I',
    '-i a -I b',
    '-I a -i b',
    '-c -t a -m x',
    '-c -I pre -t a -m x',
    '-c -V 5 -t a -m x',
    '-c -V 5 -x 3 -t a -m x',
    "-i '' -t a -m x",
    "-i '' -V 5 -t a -m x",
    '-k',
    '-k 4',
    '-k 65536',
    '-k x',
    '-u',
    '-P',
    '-P x -t a -m x',
    '-V',
    '-V 6',
    '-V mqttv3',
    '-x',
    '-x abc -V 5',
    '-x -2',
    '-x 4294967296',
    '-x -1 -V 5 -t a -m x',
    '-x ∞ -V 5 -t a -m x',
    '-L',
    '-L foo://x/y',
    '-L mqtt://',
    '-L mqtt://127.0.0.1:1883',
    '-M',
    '-M 0',
    '--unix',
    '--cafile',
    '--capath',
    '--cert',
    '--key',
    '--cert a -t a -m x',
    '--key a -t a -m x',
    '--ciphers',
    '--tls-alpn',
    '--will-topic',
    '--will-topic a/#',
    '--will-payload',
    '--will-payload x -t a -m x',
    '--will-retain -t a -m x',
    '--will-qos',
    '--will-qos 3',
    '--repeat',
    '--repeat 0',
    '--repeat x',
    '--repeat-delay',
    '--repeat-delay -1',
    '--bogus',
    '-Z',
    '-v',
    '-C 1',
    '-W 1',
    '-E',
    'word',
    '-t a -m x x',
    '-D',
    '-D publish',
    '-D publish content-type',
    '-D publish bogus x',
    '-D bogus content-type x',
    '-D connect content-type x',
    '-D publish user-property x',
    '-D publish content-type x -D PUBLISH content-type y -t a -m x',
    '-D publish message-expiry-interval 5000000000',
    '-D publish payload-format-indicator 256',
    '-D connect receive-maximum 70000',
    '-D connect receive-maximum 0 -t a -m x',
    '-D publish topic-alias 0 -t a -m x',
    '-D puback user-property a b',
    '-D auth authentication-method x',
    '-t a -f /nonexistent',
    '-t a -s',
    '--quiet -t a -f /nonexistent',
    '--quiet -t',
  ])('%s', async (args) => {
    const { status } = await compare('pub', { args });
    expect(status).toBe(1);
  });

  test.each(['', '-t a', '-m x', '-L mqtt://127.0.0.1/a', '--help', '--version'])(
    '%s: help comes on standard output',
    async (args) => {
      const [theirs, ours] = [await run('mosquitto_pub', words(args)), await runOurs('pub', words(args))];
      expect(ours.status).toBe(theirs.status);
      expect(ours.stderr).toBe(theirs.stderr);
      expect(ours.stdout.includes('Usage')).toBe(theirs.stdout.includes('Usage'));
    },
  );
});

describe('sub: command lines that are not taken', () => {
  test.each([
    '',
    '-h 127.0.0.1',
    '-t',
    '-t a#',
    '-t a/#/b',
    '-U a#',
    '-U',
    '-T a#',
    '-T',
    '-U a -E',
    '-C',
    '-C 0 -t a',
    '-C -1 -t a',
    '-C x -t a',
    '-W',
    '-W 0 -t a',
    '-W x -t a',
    '-q 3 -t a',
    '-F',
    "-F '%z' -t a",
    "-F 'abc%' -t a",
    "-F 'abc%5.' -t a",
    "-F '%0-5l' -t a",
    "-F '%--5l' -t a",
    "-F 'abc@' -t a",
    "-F 'abc\\' -t a",
    "-F 'abc\\q' -t a",
    '-R --retained-only -t a',
    '-c -t a',
    '-c -V 5 -t a',
    '-c -V 5 -x 3 -t a',
    '-m x',
    '-l',
    '-r',
    '--random-filter',
    '--random-filter 0',
    '--will-payload x -t a',
    '--will-topic x --will-qos 5 -t a',
    '-L mqtt://127.0.0.1:1883 -t b',
  ])('%s', async (args) => {
    const { status } = await compare('sub', { args });
    expect(status).toBe(1);
  });
});

describe('connections that do not come about', () => {
  test.each([
    ['-h 127.0.0.1 -p {refused}', 1],
    ['-h nowhere.invalid -p {open}', 1],
    ["-h '' -p {open}", 1],
    ['--unix /nonexistent', 1],
    ['-h 127.0.0.1 -p {refused} --quiet', 1],
    [locked, 5],
    [`${locked} -V 31`, 5],
    [`${locked} -V 5`, 135],
    [`${locked} --quiet`, 5],
    [`${locked} -u alice -P wrong`, 5],
    [`${there} -D connect authentication-method x`, 140],
    ['-h 127.0.0.1 -p {tls} --cafile FOLDER/nonexistent', 1],
    ['-h 127.0.0.1 -p {tls} --cafile FOLDER/serverKey.pem', 1],
    ['-h 127.0.0.1 -p {tls} --capath FOLDER/empty', 1],
    ['-h 127.0.0.1 -p {tls} --cafile FOLDER/ca.pem --cert FOLDER/nonexistent --key FOLDER/clientKey.pem', 1],
    ['-h 127.0.0.1 -p {tls} --cafile FOLDER/ca.pem --cert FOLDER/clientCert.pem --key FOLDER/serverKey.pem', 1],
  ])('%s', async (args, status) => {
    expect((await compare('pub', { args: `${args} -t a -m x` })).status).toBe(status);
    expect((await compare('sub', { args: `${args} -t a -W 5` })).status).toBe(status);
  });

  // Mosquitto's clients begin TLS inside the connection call, and say something else where it fails there already.
  test.each([
    '-h localhost -p {tls} --cafile FOLDER/otherCa.pem',
    '-h 127.0.0.1 -p {stranger} --cafile FOLDER/ca.pem',
    '-h 127.0.0.1 -p {open} --cafile FOLDER/ca.pem',
    '-h localhost -p {tls} --tls-use-os-certs',
  ])('%s: TLS that fails', async (args) => {
    for (const [command, more] of [
      ['pub', '-t a -m x'],
      ['sub', '-t a'],
    ] as const) {
      const list = words(`${args} ${more}`);
      const theirs = await run(`mosquitto_${command}`, list);
      expect([1, 8]).toContain(theirs.status);
      expect(theirs.stderr).toMatch(/^(Error: |Unable to connect \()A TLS error occurred\./);
      expect(await runOurs(command, list)).toEqual({ status: 8, stdout: '', stderr: 'Error: A TLS error occurred.\n' });
    }
  });

  test('a listener that wants a certificate', async () => {
    const list = words('-h 127.0.0.1 -p {mutual} --cafile FOLDER/ca.pem -t a');
    const ours = await runOurs('pub', [...list, '-m', 'x']);
    expect(ours.status).not.toBe(0);
    expect(ours.stderr).toMatch(/^Error: /);
  });

  test('pub: a server that drops a plain connection where it wants TLS', async () => {
    expect((await compare('pub', { args: '-h 127.0.0.1 -p {tls} -t a -m x' })).status).toBe(7);
  });
});

describe('pub', () => {
  test.each([
    '-t a -m x -d',
    '-t a -m x -d -q 1',
    '-t a -m x -d -q 2',
    '-t a -m x -d -q 2 -V 31',
    '-t a -m x -d -q 2 -V 5',
    '-t a -m x -d -q 1 -V mqttv5 -i named',
    '-t a -m x -d -r -V 31',
    '-t a -m x -I pre -d',
    '-t a -t b -m x -d',
    '-t a -n -d',
    "-t a -m '' -d",
    '-t a -f FOLDER/message -d',
    '-t a -f /dev/null -d',
    '-t a -m x --repeat 3 -d',
    '-t a -m x --repeat 3 -d -q 1',
    '-t a -m x --repeat 2 --repeat-delay 0.05 -d -q 2',
    '-t a -m x --repeat-delay x',
    '-t a -m x -q abc -d',
    '-t a -m x -u user -P password -d',
    '-t a -m x -u user -d',
    '-t a -m x -V 5 -P password -d',
    '-t a -m x --will-topic w --will-payload gone --will-qos 1 --will-retain -d',
    '-t a -m x --will-qos 1',
    '-t a -m x -x 5 -V 5 -d',
    '-t a -m x -x -1 -V 5 -i forever -d',
    '-t a -m x -c -i kept -d',
    '-t a -m x -c -i kept5 -V 5 -d',
    '-t a -m x -D publish content-type text/plain -D publish user-property a b -D connect user-property c d -d',
    '-t a -m x -D publish topic-alias 1 --repeat 3 -d',
    '-t a -m x -q 1 -D disconnect user-property a b -D will content-type x --will-topic w -d',
    '-t a -m x -D subscribe user-property a b -d',
    "-t '' -m x -d",
    '-t a -m x --nodelay -M 5',
    '-L mqtt://user:pass@127.0.0.1:{open}/a/b/c -m x -d',
    '-L mqtt://127.0.0.1:{open}/a%20b -m x -d',
    '-L mqtt://127.0.0.1:{open}/a -t other -m x -d',
  ])('%s', async (args) => {
    const where = args.includes('-L') ? '' : `${there} `;
    expect((await compare('pub', { args: `${where}${args}` })).status).toBe(0);
  });

  test.each<[string, string]>([
    ['-l -d', 'one\ntwo\n\nlast'],
    ['-l -d -q 1', 'one\ntwo\n\nlast\n'],
    ['-l -d -q 2 -V 5', 'one\r\ntwo'],
    ['-l -d', ''],
    ['-l -d', `${'x'.repeat(100_000)}\ny\n`],
    ['-s -d', 'a\nb\n'],
    ['--stdin-file -d -q 1', 'x'.repeat(300_000)],
  ])('%s with standard input', async (args, stdin) => {
    expect((await compare('pub', { args: `${there} -t a ${args}`, stdin })).status).toBe(0);
  });

  test.each([
    `${locked} -u alice -P secret -t other -m x -q 1 -V 5 -d`,
    `${locked} -u alice -P secret -t other -m x -q 2 -V 5 -d`,
    `${locked} -u alice -P secret -t other -m x -q 2 -V 311 -d`,
    `${locked} -u alice -P secret -t other -m x -q 1 -V 5 --quiet`,
    '-h 127.0.0.1 -p {small} -t a -m x -q 2 -V 5 -d',
    '-h localhost -p {tls} --cafile FOLDER/ca.pem -t a -m x -d',
    '-h 127.0.0.1 -p {tls} --capath FOLDER/hashed -t a -m x -d',
    '-h 127.0.0.1 -p {stranger} --cafile FOLDER/ca.pem --insecure -t a -m x -d',
    '-h 127.0.0.1 -p {mutual} --cafile FOLDER/ca.pem --cert FOLDER/clientCert.pem --key FOLDER/clientKey.pem -t a -m x -d',
    '-L mqtts://localhost:{tls}/a -m x --cafile FOLDER/ca.pem -d',
  ])('%s', async (args) => {
    expect((await compare('pub', { args })).status).toBe(0);
  });
});

describe('sub', () => {
  const retained = () =>
    publish(
      '-t ret/1 -m one -r',
      '-t ret/2 -m two -r -q 1',
      "-t ret/é -m 'é€x' -r -V 5 -q 1 -D publish content-type text/plain -D publish user-property a b -D publish user-property a c -D publish response-topic rr -D publish correlation-data cd -D publish payload-format-indicator 1",
    );

  test.each([
    '-t ret/# -C 3',
    '-t ret/# -C 3 -v',
    '-t ret/# -C 2 -v -N -q 2',
    '-t ret/# -C 2 -v -d',
    '-t ret/# -C 3 -v -d -q 1 -V 5',
    '-t ret/1 -t ret/2 -C 2 -v -d -V 31',
    '-t ret/# -C 1 -T ret/1 -v',
    '-t ret/# -C 1 -T ret/1 -T ret/2 -v',
    "-t ret/1 -C 1 -T ''",
    '-L mqtt://127.0.0.1:{open}/ret/1 -C 1 -d',
    '-L mqtt://127.0.0.1:{open}/ret/1 -t ret/2 -C 2 -d',
    "-t ret/1 -C 1 -F ''",
    "-t ret/1 -C 1 -v -F '%l %q'",
    "-t ret/é -C 1 -V 5 -q 1 -F '%t|%p|%q|%r|%l|%m|%x|%X|%A|%C|%D|%E|%F|%P|%R|%S|%%|@@|\\\\|\\0|\\a|\\e|\\n|\\r|\\t|\\v|'",
    "-t ret/é -C 1 -V 5 -q 1 -F '%10t|%-10t|%010t|%10.3t|%.3t|%.4t|%-010l|%05l|%5l|%-5l|%.5l|%5.2l|%007l|%05m|%.l|%5.t'",
    "-t ret/é -C 1 -V 5 -F '%20p|%-20p|%020p|%.2p|%5p|%4p|%3R|%.1R|%.2C|%10D|%10P|%-15C|%015C|%5q|%05r|%5%|%5A|%05A|%-5F|%05E|%5S'",
    "-t ret/1 -C 1 -F '%3p|%4x|%3X|%10x|%12x|%-12x|%012x|%9x|%5x|%.2x|%1x'",
    "-t ret/é -C 1 -V 5 -F '%j' -D subscribe subscription-identifier 5",
    "-t ret/é -C 1 -V 5 -F '%j %S' -D subscribe subscription-identifier 268435455",
    "-t ret/é -C 1 -V 5 -F '%j' --pretty",
    "-t ret/é -C 1 -q 1 -F '%j'",
    "-t ret/1 -C 1 -F '%J'",
    "-t ret/1 -C 1 -F '%I %j'",
    "-t ret/1 -C 1 -F '@Y @a @A @b @B @C @d @D @e @F @g @G @h @j @m @n @p @P @t @u @U @V @w @W @x @y @z @Z @% @E @O @~'",
    '-t ret/1 -U ret/2 -U x -E -d',
    '-t ret/1 -E -V 5 -d --retain-as-published',
    '-t ret/1 -E --retain-as-published -d',
    '-t none -E -c -i stays -d',
    '-t none -E -I pre -d',
  ])('%s', async (args) => {
    const where = args.includes('-L') ? '' : `${there} `;
    expect((await compare('sub', { args: `${where}${args}`, before: retained })).status).toBe(0);
  });

  test.each([
    '-t ret/# -W 1 -v',
    '-t ret/# -R -W 1 -v',
    '-t ret/# --retained-only -W 1 -v',
    '-t ret/# -q 1 -W 1 -d -V 5',
    '-t none -U none -W 1 -d -V 5',
    '-t none -W 1 --quiet',
  ])('%s times out', async (args) => {
    expect((await compare('sub', { args: `${there} ${args}`, before: retained })).status).toBe(27);
  });

  // Mosquitto 2.0 waits for ever after the last one.
  test('--remove-retained removes what it prints, and what -R hides, but not what -T filters out', async () => {
    await retained();
    const { status, stdout } = await runOurs('sub', words(`${there} -t ret/# --remove-retained -C 2 -T ret/1`));
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'two\né€x\n' });
    expect((await run('mosquitto_sub', words(`${there} -t ret/# -W 1`))).stdout).toBe('one\n');
    await runOurs('sub', words(`${there} -t ret/# --remove-retained -R -W 1`));
    const { stdout } = await run('mosquitto_sub', words(`${there} -t ret/# -W 1`));
    expect(stdout).toBe('');
  });

  const live: [string, () => Promise<void>][] = [
    ['-t live/1 -i s1 -C 3', () => publish("-t live/1 -m 'a b'", '-t live/1 -n', '-t live/1 -m c', '-t live/1 -m d')],
    ['-t live/2 -i s2 -C 2 -v', () => publish('-t live/2 -n', '-t live/2 -m x')],
    [
      "-t live/3 -i s3 -C 3 -F '%j|%J'",
      () =>
        publish(
          '-t live/3 -m \'{"a":1, "b":[1.50,2e3,-0,1e-7,12345678901234567890,0.1,true,null,"\\u00e9/"],"2":{},"1":[],"1":[{}]}\'',
          '-t live/3 -m 12',
          '-t live/3 -n',
        ),
    ],
    [
      "-t live/4 -i s4 -C 1 -F '%J' --pretty",
      () => publish('-t live/4 -m \'{"a":{"b":[1,2,{"x":[]},[3,[]]],"c":{}},"d":"e"}\''),
    ],
    ["-t live/5 -i s5 -C 2 -F '%J'", () => publish("-t live/5 -m '{} x'", "-t live/5 -m '[1,]'")],
    ["-t live/6 -i s6 -C 1 -F '%j'", () => publish("-t live/6 -m 'quote\" back\\ tab\t é€😀/'")],
    ['-t live/7 -i s7 -q 2 -C 2 -v', () => publish('-t live/7 -m one -q 2', '-t live/7 -m two -q 1')],
    ['-t live/8 -i s8 -q 1 -C 1 -d', () => publish('-t live/8 -m one -q 1')],
    ['-t live/9 -i s9 --retained-only -v -d', () => publish('-t live/9 -m fresh')],
  ];
  test.each(live)('%s', async (args, whenSubscribed) => {
    expect((await compare('sub', { args: `${there} ${args}`, whenSubscribed })).status).toBe(0);
  });

  test('-c: what came meanwhile is printed, once', async () => {
    for (const runner of [(args: string[]) => run('mosquitto_sub', args), (args: string[]) => runOurs('sub', args)]) {
      await runner(words(`${there} -t meanwhile -c -i sleeper -q 1 -E`));
      await publish('-t meanwhile -m 1 -q 1', '-t meanwhile -m 2 -q 2', '-t meanwhile -m 3 -q 1');
      expect((await runner(words(`${there} -t meanwhile -c -i sleeper -q 2 -C 1`))).stdout).toBe('1\n');
      expect((await runner(words(`${there} -t meanwhile -c -i sleeper -q 2 -C 2`))).stdout).toBe('2\n3\n');
      await runner(words(`${there} -t meanwhile -i sleeper -E`));
    }
  });
});
