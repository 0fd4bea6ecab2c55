import { describe, expect, test } from 'bun:test';
import { parseClientUrl, parseProxyUrl } from './client-url.ts';
import { ClientUsageError } from './client-usage-error.ts';

const nobody = { username: null, password: null };

describe('-L', () => {
  test.each([
    ['mqtt://host/a/b', { hostname: 'host', port: 1883, topic: 'a/b', isTls: false, isWebSocket: false, ...nobody }],
    ['MQTTS://host/a', { hostname: 'host', port: 8883, topic: 'a', isTls: true, isWebSocket: false, ...nobody }],
    ['ws://host/a', { hostname: 'host', port: 80, topic: 'a', isTls: false, isWebSocket: true, ...nobody }],
    ['wss://host:8084/a', { hostname: 'host', port: 8084, topic: 'a', isTls: true, isWebSocket: true, ...nobody }],
    ['mqtt://[::1]:99/', { hostname: '::1', port: 99, topic: '' }],
    ['mqtt://u@h/a@b', { hostname: 'h', username: 'u', password: null, topic: 'a@b' }],
    ['mqtt://u:p:q@r@h:5/a', { hostname: 'h', username: 'u', password: 'p:q@r', port: 5 }],
    ['mqtt://h/a%20b', { topic: 'a%20b' }],
  ])('%s', (url, expected) => {
    expect(parseClientUrl(url)).toMatchObject(expected);
  });

  test.each([
    ['http://h/t', 'Error: Unsupported URL scheme.'],
    ['mqtt:h/t', 'Error: Unsupported URL scheme.'],
    ['toString://h/t', 'Error: Unsupported URL scheme.'],
    ['mqtt://h', 'Error: Invalid URL for -L argument specified - topic missing.'],
    ['mqtt://h:0/t', 'Error: Invalid port given: 0'],
    ['mqtt://h:65536/t', 'Error: Invalid port given: 65536'],
    ['mqtt://h:x/t', 'Error: Invalid port given: x'],
  ])('%s is refused', (url, message) => {
    expect(() => parseClientUrl(url)).toThrow(new ClientUsageError(message, 1));
  });
});

describe('--proxy', () => {
  test.each([
    ['socks5h://h', { hostname: 'h', port: 1080, username: null, password: '' }],
    ['socks5h://h:1', { hostname: 'h', port: 1, username: null, password: '' }],
    ['socks5h://[::1]:2', { hostname: '::1', port: 2, username: null, password: '' }],
    ['socks5h://u@h', { hostname: 'h', port: 1080, username: 'u', password: '' }],
    ['socks5h://u%3a%40:p%25:q@h', { hostname: 'h', port: 1080, username: 'u:@', password: 'p%:q' }],
  ])('%s', (url, expected) => {
    expect(parseProxyUrl(url)).toEqual(expected);
  });

  test.each([
    'socks5://h',
    'http://h',
    'socks5h://',
    'socks5h://:1',
    'socks5h://h:0',
    'socks5h://h:x',
    'socks5h://:p@h',
    'socks5h://%zz@h',
    'socks5h://u:%2@h',
    `socks5h://${'x'.repeat(256)}@h`,
  ])('%s is refused', (url) => {
    expect(() => parseProxyUrl(url)).toThrow(ClientUsageError);
  });
});
