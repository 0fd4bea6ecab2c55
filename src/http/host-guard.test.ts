import { expect, test } from 'bun:test';
import { hostGuard, isLoopback, urlHost } from './host-guard.ts';

test.each([
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.0.0.1.example', false],
  ['10.0.0.1', false],
])('%s is loopback: %p', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test('the bound address is answered to as well', () => {
  const judge = hostGuard('127.0.0.53');
  expect(judge('127.0.0.53:8080')).toBe('allowed');
  expect(judge('localhost')).toBe('allowed');
  expect(judge('127.0.0.54')).toBe('foreign');
});

test('bound to the network every host name will do, but it has to be one', () => {
  const judge = hostGuard('0.0.0.0');
  expect(judge('push.example.net:443')).toBe('allowed');
  expect(judge(null)).toBe('allowed');
  expect(judge('')).toBe('invalid');
  expect(judge('a:123456')).toBe('invalid');
});

test('IPv6 addresses stand in brackets in a URL', () => {
  expect([urlHost('::1'), urlHost('127.0.0.1'), urlHost('a.example')]).toEqual(['[::1]', '127.0.0.1', 'a.example']);
});
