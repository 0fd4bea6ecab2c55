import { expect, test } from 'bun:test';
import { describePortHolder } from './port-holder.ts';

test.each(['127.0.0.1', '::1'])('names the process that listens on a port of %s', async (hostname) => {
  const code = `const s = Bun.listen({ hostname: '${hostname}', port: 0, socket: { data() {} } }); console.log(s.port);`;
  const child = Bun.spawn([process.execPath, '-e', code], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  try {
    const { value } = await child.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value));
    expect(port).toBeGreaterThan(0);
    const program = (await Bun.file(`/proc/${child.pid}/comm`).text()).trim();
    expect(describePortHolder(port)).toBe(`${program} (process ${child.pid})`);
  } finally {
    child.kill('SIGKILL');
    await child.exited;
  }
});

test('says nothing of a port that nobody listens on', () => {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = server;
  expect(describePortHolder(port)).toContain(`(process ${process.pid})`);
  server.stop(true);
  expect(describePortHolder(port)).toBeNull();
});
