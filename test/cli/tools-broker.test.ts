// Debian's tools and ours against our own broker: the same lines bring the same output.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { certificateFiles, startServer, type TestServer, tlsListener } from '../support/server.ts';
import { type Command, runBoth, words } from '../support/client/compare-commands.ts';

setDefaultTimeout(30_000);

let server: TestServer;
let names: Record<string, string | number>;

beforeAll(async () => {
  server = await startServer([{}, await tlsListener()]);
  const { ca } = await certificateFiles();
  names = { plain: server.ports[0]!, tls: server.ports[1]!, ca };
});
afterAll(() => server.stop());

const there = '-h 127.0.0.1 -p {plain}';

test.each<[Command, string, number]>([
  ['pub', `${there} -t ours/1 -m one -r -d`, 0],
  ['pub', `${there} -t ours/1 -m one -r -q 1 -V 5 -d`, 0],
  ['pub', `${there} -t ours/2 -m two -r -q 2 -V 31 -d -D publish content-type text/plain`, 0],
  ['pub', `${there} -t ours/3 -n -d --repeat 2 -q 1`, 0],
  ['pub', '-h localhost -p {tls} --cafile {ca} -t ours/4 -m x -d', 0],
  ['pub', '-L mqtts://localhost:{tls}/ours/4 --cafile {ca} -m x -d --tls-version tlsv1.3', 0],
  ['sub', `${there} -t ours/# -C 2 -v -d`, 0],
  ['sub', `${there} -t ours/# -C 2 -q 2 -V 5 -F '%t|%p|%q|%r|%C|%j'`, 0],
  ['sub', `${there} -t ours/# -t other -U other -E -d -V 5`, 0],
  ['rr', `${there} -t ours/request -e ours/1 -m x -v`, 0],
])('%s %s', async (command, line, status) => {
  const { theirs, ours } = await runBoth(command, { args: words(line, names) });
  expect(ours).toEqual(theirs);
  expect(ours.status).toBe(status);
});

test.concurrent.each<[Command, string]>([
  ['sub', `${there} -t ours/none -W 1 -d`],
  ['rr', `${there} -t ours/request -e ours/none -m x -W 1 -d`],
])('%s %s times out', async (command, line) => {
  const { theirs, ours } = await runBoth(command, { args: words(line, names), together: true });
  expect(ours).toEqual(theirs);
  expect(ours.status).toBe(27);
});
