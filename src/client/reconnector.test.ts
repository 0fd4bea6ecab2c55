import { describe, expect, test } from 'bun:test';
import { type CloseCause, CloseKind } from './client-handlers.ts';
import { defaultReconnectOptions, mayReconnect, Reconnector } from './reconnector.ts';

function cause(kind: CloseKind, reasonCode = 0): CloseCause {
  return { kind, reasonCode, properties: null, error: null, wasConnected: true };
}

const lost = cause(CloseKind.transport);
const options = { ...defaultReconnectOptions, firstDelayMs: 1_000, maximumDelayMs: 10_000, factor: 2 };

describe('delays', () => {
  test('grow by the factor up to the maximum', () => {
    const reconnector = new Reconnector(options, () => 0);
    const delays = Array.from({ length: 7 }, () => reconnector.closed(lost, 0));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  });

  test('are shortened by chance, by the jitter at most', () => {
    const reconnector = new Reconnector({ ...options, jitter: 0.5 }, () => 0.999999);
    expect(reconnector.closed(lost, 0)).toBe(500);
    expect(new Reconnector({ ...options, jitter: 0 }, () => 0.9).closed(lost, 0)).toBe(1_000);
  });

  test('start anew after a connection that was stable, and only after such', () => {
    const reconnector = new Reconnector(options, () => 0);
    reconnector.closed(lost, 0);
    reconnector.closed(lost, 0);
    reconnector.connected(1_000);
    expect(reconnector.closed(lost, 1_000 + options.stableAfterMs - 1)).toBe(4_000);
    reconnector.connected(20_000);
    expect(reconnector.closed(lost, 20_000 + options.stableAfterMs)).toBe(1_000);
  });
});

describe('attempts', () => {
  test('are due once, when the delay is over', () => {
    const reconnector = new Reconnector(options, () => 0);
    expect(reconnector.isDue(0)).toBe(false);
    reconnector.closed(lost, 5_000);
    expect(reconnector.isDue(5_999)).toBe(false);
    expect(reconnector.isDue(6_000)).toBe(true);
    expect(reconnector.isDue(6_000)).toBe(false);
  });

  test('end where they are cancelled or make no sense', () => {
    const reconnector = new Reconnector(options, () => 0);
    reconnector.closed(lost, 0);
    reconnector.cancel();
    expect(reconnector.isDue(1e9)).toBe(false);
    expect(reconnector.closed(cause(CloseKind.requested), 0)).toBe(-1);
    expect(reconnector.isDue(1e9)).toBe(false);
  });

  test.each<[CloseKind, number, boolean]>([
    [CloseKind.requested, 0, false],
    [CloseKind.transport, 0, true],
    [CloseKind.protocolError, 0x81, true],
    [CloseKind.keepAliveTimeout, 0x8d, true],
    [CloseKind.connectTimeout, 0, true],
    [CloseKind.refused, 3, true],
    [CloseKind.refused, 5, false],
    [CloseKind.refused, 0x89, true],
    [CloseKind.refused, 0x87, false],
    [CloseKind.refused, 0x9c, false],
    [CloseKind.serverDisconnect, 0x8b, true],
    [CloseKind.serverDisconnect, 0x8e, false],
    [CloseKind.serverDisconnect, 0x9d, false],
    [CloseKind.serverDisconnect, 0x98, true],
  ])('%s with %d: %p', (kind, reasonCode, expected) => {
    expect(mayReconnect(cause(kind, reasonCode))).toBe(expected);
  });
});
