// Users and access rules, from the files to real clients.
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool, Subscriber } from '../support/mosquitto-tools.ts';
import { run, Running } from './run-martlet.ts';

let folder = '';
let broker: Running;
let target: string[] = [];

const path = (name: string) => join(folder, name);

async function setPassword(user: string, password: string): Promise<void> {
  const done = await run(['passwd', '-b', path('users'), user, password]);
  expect([done.status, done.stderr]).toEqual([0, '']);
}

const as = (user: string, password: string) => ['-u', user, '-P', password];

/** Exit status of mosquitto_pub: 0 in, 5 not authorised. */
async function publish(user: readonly string[], topic: string, payload: string, version = '311'): Promise<number> {
  const args = [...user, '-V', version, '-q', '1', '-t', topic, '-m', payload];
  return (await runTool('mosquitto_pub', target, args)).status;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-users-'));
  writeFileSync(path('users'), '', { mode: 0o600 });
  await setPassword('alice', 'wonderland');
  await setPassword('bob', 'builder');
  writeFileSync(path('acl'), 'user alice\ntopic write news/#\nuser bob\ntopic read news/sport\n', { mode: 0o600 });
  const rules = `password_file ${path('users')}\nacl_file ${path('acl')}\n`;
  writeFileSync(path('martlet.conf'), `listener 0 127.0.0.1\nallow_anonymous false\n${rules}`);
  broker = new Running(['broker', '-c', path('martlet.conf')]);
  target = ['-p', String(await broker.port())];
});

afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('the right password lets a client in, a wrong one, an unknown user and nobody do not', async () => {
  expect(await publish(as('alice', 'wonderland'), 'news/sport', 'x')).toBe(0);
  expect(await publish(as('alice', 'wonderland'), 'news/sport', 'x', '5')).toBe(0);
  expect(await publish(as('alice', 'wrong'), 'news/sport', 'x')).toBe(5);
  expect(await publish(as('carol', 'wonderland'), 'news/sport', 'x')).toBe(5);
  expect(await publish([], 'news/sport', 'x')).toBe(5);
  expect(broker.stderr).not.toContain('wonderland');
});

test('a client receives what it may read, whatever it subscribed to, and publishes where it may write', async () => {
  const bob = new Subscriber(target, [
    ...as('bob', 'builder'),
    '-i',
    'bob',
    '-q',
    '1',
    '-t',
    'news/#',
    '-v',
    '-C',
    '1',
  ]);
  await broker.output('stderr', /New client connected from .* as bob /);
  await publish(as('bob', 'builder'), 'news/sport', 'not mine to write');
  await publish(as('alice', 'wonderland'), 'news/politics', 'secret');
  await publish(as('alice', 'wonderland'), 'other/sport', 'not mine to write');
  await publish(as('alice', 'wonderland'), 'news/sport', 'goal');
  expect(await bob.finished()).toEqual(['news/sport goal']);
});

test('a retained message of a topic that may not be read does not come with the subscription', async () => {
  const alice = as('alice', 'wonderland');
  for (const topic of ['news/weather', 'news/sport']) {
    await runTool('mosquitto_pub', target, [...alice, '-r', '-t', topic, '-m', `kept ${topic}`, '-q', '1']);
  }
  const got = await runTool('mosquitto_sub', target, [...as('bob', 'builder'), '-t', 'news/#', '-C', '1', '-W', '5']);
  expect(got.stdout).toBe('kept news/sport\n');
});

test('SIGHUP takes changed files, and leaves the rules as they were where a file is wrong', async () => {
  await setPassword('alice', 'looking-glass');
  broker.child.kill('SIGHUP');
  await broker.output('stderr', /SIGHUP: Configuration, users, access rules and certificates read anew/);
  expect(await publish(as('alice', 'wonderland'), 'news/sport', 'x')).toBe(5);
  expect(await publish(as('alice', 'looking-glass'), 'news/sport', 'x')).toBe(0);
  writeFileSync(path('acl'), 'topic sideways a\n');
  broker.child.kill('SIGHUP');
  await broker.output('stderr', /SIGHUP: what these lines tell of stays as it was/);
  expect(broker.stderr).toContain(`${path('acl')}:1: `);
  expect(await publish(as('alice', 'looking-glass'), 'news/sport', 'x')).toBe(0);
});

test('a file of users that is not there keeps the broker from starting, with its name', async () => {
  writeFileSync(path('broken.conf'), `listener 0 127.0.0.1\npassword_file ${path('nowhere')}\n`);
  const { status, stderr } = await run(['broker', '-c', path('broken.conf')]);
  // As with Mosquitto 2.0: 3 is for what stands in files.
  expect(status).toBe(13);
  expect(stderr).toContain(`${path('nowhere')}`);
});
