import { expect, test } from 'bun:test';
import { closedDoors } from './closed-doors.ts';
import { parseConfig } from './parse-config.ts';

const warnings = (...lines: string[]) => closedDoors(parseConfig(lines.join('\n'), 'm.conf').config);
const advice = 'Set allow_anonymous true, or name a password_file.';
const onPort = (port: number) =>
  `Warning: every client on port ${port} will be refused: there allow_anonymous is false and there is no password_file. ` +
  'Set listener_allow_anonymous true for that listener, or name a password_file.';

test('a broker that lets nobody in says so, once', () => {
  const text = 'and there is no password_file: every client will be refused.';
  expect(warnings('listener 1', 'listener 2')).toEqual([
    `Warning: allow_anonymous is false by default ${text} ${advice}`,
  ]);
  expect(warnings('listener 1', 'allow_anonymous false')).toEqual([
    `Warning: allow_anonymous is false ${text} ${advice}`,
  ]);
});

test('a listener that lets nobody in beside others that do is named', () => {
  expect(warnings('listener 1', 'listener_allow_anonymous true', 'listener 2')).toEqual([onPort(2)]);
  expect(
    warnings('per_listener_settings true', 'listener 1', 'listener 0 /s', 'password_file p', 'listener 3'),
  ).toEqual([onPort(1), onPort(3)]);
});

test('users, anonymous clients, certificates, keys and HTTP are ways in', () => {
  expect(warnings('listener 1', 'allow_anonymous true')).toEqual([]);
  expect(warnings('listener 1', 'password_file p')).toEqual([]);
  expect(warnings('listener 1', 'use_identity_as_username true')).toEqual([]);
  expect(warnings('listener 1', 'use_subject_as_username true')).toEqual([]);
  expect(warnings('listener 1', 'allow_anonymous false', 'protocol http_api')).toEqual([]);
  expect(warnings()).toEqual([]);
});
