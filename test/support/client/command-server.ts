import { expect } from 'bun:test';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, type Mosquitto, startMosquitto } from '../mosquitto.ts';
import { writePems } from './certificates.ts';
import { type Command, type Comparison, type Result, run, runBoth, words } from './compare-commands.ts';

const there = '-h 127.0.0.1 -p {open}';

export interface CommandServer {
  readonly mosquitto: Mosquitto;
  /** Words of a command line; names in braces are listeners, `refused`, or `folder`. */
  words(line: string): string[];
  /** Runs both commands, expects the same of them, and returns it. */
  compare(command: Command, line: string, more?: Omit<Comparison, 'args'>): Promise<Result>;
  /** Publishes with Mosquitto's client, to the open listener. */
  publish(...lines: string[]): Promise<void>;
  /** Waits until a client has subscribed, and then publishes. */
  publishTo(...lines: string[]): (id: string) => Promise<void>;
}

/** Mosquitto with a listener of each kind that command lines in tests speak of. */
export async function startCommandServer(): Promise<CommandServer> {
  const refused = freePort();
  const tls = (name: string) => [
    'allow_anonymous true',
    'cafile FOLDER/ca.pem',
    `certfile FOLDER/${name}Cert.pem`,
    `keyfile FOLDER/${name}Key.pem`,
  ];
  const mosquitto = await startMosquitto(
    {
      open: ['allow_anonymous true'],
      closed: ['allow_anonymous false', 'password_file FOLDER/passwords', 'acl_file FOLDER/acl'],
      tls: tls('server'),
      stranger: tls('stranger'),
      mutual: [...tls('server'), 'require_certificate true'],
      qos1: ['allow_anonymous true', 'max_qos 1'],
      websockets: ['allow_anonymous true', 'protocol websockets'],
      secureWebsockets: [...tls('server'), 'protocol websockets'],
    },
    ['per_listener_settings true', 'listener 0 FOLDER/socket', 'allow_anonymous true'],
    prepareFolder,
  );
  const names = { ...mosquitto.ports, refused, folder: mosquitto.folder };
  const publish = async (...lines: string[]) => {
    for (const line of lines) await run('mosquitto_pub', words(`${there} ${line}`, names));
  };
  return {
    mosquitto,
    words: (line) => words(line, names),
    publish,
    publishTo:
      (...lines) =>
      async (id) => {
        await mosquitto.waitForLog(new RegExp(`Sending SUBACK to ${id}`));
        await publish(...lines);
      },
    async compare(command, line, more = {}) {
      const { theirs, ours } = await runBoth(command, { args: words(line, names), ...more });
      expect(ours).toEqual(theirs);
      return ours;
    },
  };
}

async function prepareFolder(folder: string): Promise<void> {
  const paths = await writePems(folder);
  const hash = await run('openssl', ['x509', '-in', paths.ca, '-noout', '-subject_hash']);
  await mkdir(join(folder, 'hashed'));
  await symlink(paths.ca, join(folder, 'hashed', `${hash.stdout.trim()}.0`));
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'passwords'), '');
  await run('mosquitto_passwd', ['-b', join(folder, 'passwords'), 'alice', 'secret']);
  await writeFile(join(folder, 'acl'), 'user alice\ntopic readwrite mine/#\n');
  await writeFile(join(folder, 'message'), 'from a file\n');
}
