import { expect, test } from 'bun:test';
import { firstMessage } from './first-message.ts';

const commandFor = (...urls: string[]) =>
  firstMessage(urls.map((url) => ({ name: 'MQTT', url, connections: () => 0 })))?.martlet[0] ?? null;

test.each([
  ['mqtt://127.0.0.1:1883', 'bin/martlet sub -t hello'],
  ['mqtt://localhost', 'bin/martlet sub -t hello'],
  ['mqtt://0.0.0.0:1884', 'bin/martlet sub -p 1884 -t hello'],
  ['mqtt://[::]:1883/', 'bin/martlet sub -t hello'],
  ['mqtt://[::1]:1883', 'bin/martlet sub -h ::1 -t hello'],
  ['mqtt://10.0.0.5:2883', 'bin/martlet sub -h 10.0.0.5 -p 2883 -t hello'],
  ["mqtt://it's;rm:1883", "bin/martlet sub -h 'it'\\''s;rm' -t hello"],
])('for %s the command is %s', (url, command) => {
  expect(commandFor(url)).toBe(command);
});

test('the first listener for plain TCP is used, and without one there is no command', () => {
  expect(commandFor('mqtts://a:8883', 'ws://a:8083/mqtt', 'mqtt://127.0.0.1:1885')).toBe(
    'bin/martlet sub -p 1885 -t hello',
  );
  expect(commandFor('mqtts://a:8883', 'unix:///run/m.sock')).toBeNull();
  expect(commandFor()).toBeNull();
});

test('the four commands are one subscriber and one publisher of each kind', () => {
  expect(firstMessage([{ name: 'MQTT', url: 'mqtt://127.0.0.1:1883', connections: () => 0 }])).toEqual({
    martlet: ['bin/martlet sub -t hello', 'bin/martlet pub -t hello -m world'],
    mosquitto: ['mosquitto_sub -t hello', 'mosquitto_pub -t hello -m world'],
  });
});
