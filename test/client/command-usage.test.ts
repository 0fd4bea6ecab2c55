// Command lines that are not taken: the same complaint and status as Mosquitto's clients. No server is needed.
import { describe, expect, test } from 'bun:test';
import { type Command, run, runBoth, runOurs, words } from '../support/client/compare-commands.ts';

async function both(command: Command, line: string) {
  const { theirs, ours } = await runBoth(command, { args: words(line, {}) });
  expect(ours).toEqual(theirs);
  return ours;
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
    const { status } = await both('pub', args);
    expect(status).toBe(1);
  });

  test.each(['', '-t a', '-m x', '-L mqtt://127.0.0.1/a', '--help', '--version'])(
    '%s: help comes on standard output',
    async (args) => {
      const [theirs, ours] = [await run('mosquitto_pub', words(args, {})), await runOurs('pub', words(args, {}))];
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
    const { status } = await both('sub', args);
    expect(status).toBe(1);
  });
});
