// `martlet sub` and `mosquitto_sub` with the same command lines, against one Mosquitto.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { type CommandServer, startCommandServer } from '../support/client/command-server.ts';
import { run, runOurs } from '../support/client/compare-commands.ts';
import { sized } from '../support/long-run.ts';

setDefaultTimeout(30_000);

let server: CommandServer;

beforeAll(async () => {
  server = await startCommandServer();
});
afterAll(() => server.mosquitto.stop());

const there = '-h 127.0.0.1 -p {open}';

describe('sub', () => {
  const retained = () =>
    server.publish(
      '-t ret/1 -m one -r',
      '-t ret/2 -m two -r -q 1',
      "-t ret/é -m 'é€x' -r -V 5 -q 1 -D publish content-type text/plain -D publish user-property a b -D publish user-property a c -D publish response-topic rr -D publish correlation-data cd -D publish payload-format-indicator 1",
    );

  // What is retained stays as it is for all of them, so that they may run at once.
  beforeAll(retained);

  test.concurrent.each([
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
    "-t ret/1 -C 1 -F '%3p|%-5p|%05p|%2p|%x|%X'",
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
    expect((await server.compare('sub', `${where}${args}`)).status).toBe(0);
  });

  test.concurrent.each([
    '-t ret/# -W 1 -v',
    '-t ret/# -R -W 1 -v',
    '-t ret/# --retained-only -W 1 -v',
    '-t ret/# -q 1 -W 1 -d -V 5',
    '-t none -U none -W 1 -d -V 5',
    '-t none -W 1 --quiet',
  ])('%s times out', async (args) => {
    expect((await server.compare('sub', `${there} ${args}`, { together: true })).status).toBe(27);
  });

  // Mosquitto 2.0 waits for ever after the last one.
  test('--remove-retained removes what it prints, and what -R hides, but not what -T filters out', async () => {
    const { status, stdout } = await runOurs('sub', server.words(`${there} -t ret/# --remove-retained -C 2 -T ret/1`));
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'two\né€x\n' });
    expect((await run('mosquitto_sub', server.words(`${there} -t ret/# -W 1`))).stdout).toBe('one\n');
    await runOurs('sub', server.words(`${there} -t ret/# --remove-retained -R -W 1`));
    expect((await run('mosquitto_sub', server.words(`${there} -t ret/# -W 1`))).stdout).toBe('');
  });

  const live: [string, string[]][] = [
    ['-t live/1 -i s1 -C 3', ["-t live/1 -m 'a b'", '-t live/1 -n', '-t live/1 -m c', '-t live/1 -m d']],
    ['-t live/2 -i s2 -C 2 -v', ['-t live/2 -n', '-t live/2 -m x']],
    [
      "-t live/3 -i s3 -C 3 -F '%j|%J'",
      [
        '-t live/3 -m \'{"a":1, "b":[1.50,2e3,-0,1e-7,12345678901234567890,0.1,true,null,"\\u00e9/"],"2":{},"1":[],"1":[{}]}\'',
        '-t live/3 -m 12',
        '-t live/3 -n',
      ],
    ],
    ["-t live/4 -i s4 -C 1 -F '%J' --pretty", ['-t live/4 -m \'{"a":{"b":[1,2,{"x":[]},[3,[]]],"c":{}},"d":"e"}\'']],
    ["-t live/5 -i s5 -C 2 -F '%J'", ["-t live/5 -m '{} x'", "-t live/5 -m '[1,]'"]],
    ["-t live/6 -i s6 -C 1 -F '%j'", ["-t live/6 -m 'quote\" back\\ tab\t é€😀/'"]],
    ['-t live/7 -i s7 -q 2 -C 2 -v', ['-t live/7 -m one -q 2', '-t live/7 -m two -q 2']],
    ['-t live/8 -i s8 -q 1 -C 1 -d', ['-t live/8 -m one -q 1']],
    ['-t live/9 -i s9 --retained-only -v -d', ['-t live/9 -m fresh']],
  ];
  test.concurrent.each(live)('%s', async (args, lines) => {
    expect((await server.compare('sub', `${there} ${args}`, { during: server.publishTo(...lines) })).status).toBe(0);
  });

  // mosquitto_sub 2.0 leaves before its acknowledgement does, and so now and then prints a message twice.
  test('-c: what came meanwhile is printed, once', async () => {
    const sub = (args: string) => runOurs('sub', server.words(`${there} -t meanwhile -i sleeper ${args}`));
    for (let i = 0; i < sized(2, 10); i++) {
      await sub('-c -q 1 -E');
      await server.publish('-t meanwhile -m 1 -q 1', '-t meanwhile -m 2 -q 2', '-t meanwhile -m 3 -q 1');
      expect((await sub('-c -q 2 -C 1')).stdout).toBe('1\n');
      expect((await sub('-c -q 2 -C 2')).stdout).toBe('2\n3\n');
      await sub('-E');
    }
  });
});
