import { expect, test } from 'bun:test';
import { editDistance, nearestName } from '../../src/config/nearest-name.ts';

test.each([
  ['', '', 0],
  ['listener', 'listener', 0],
  ['listner', 'listener', 1],
  ['listenre', 'listener', 1],
  ['lisetner', 'listener', 1],
  ['listenerr', 'listener', 1],
  ['lostener', 'listener', 1],
  ['abc', 'xyz', 3],
  ['', 'abc', 3],
  ['abc', '', 3],
])('from %p to %p it is %p steps, and as many back', (a, b, steps) => {
  expect(editDistance(a, b)).toBe(steps);
  expect(editDistance(b, a)).toBe(steps);
});

const names = ['broker', 'start', 'pub', 'sub', 'help', 'max_queued_bytes', 'max_queued_messages'];

test.each([
  ['brokr', 'broker'],
  ['strat', 'start'],
  ['Help', 'help'],
  ['pbu', 'pub'],
  ['brok', 'broker'],
  ['max-queued-byte', 'max_queued_bytes'],
  ['bench', null],
  ['max_queued', null], // begins two names
  ['', null],
  ['x'.repeat(100_000), null],
])('%p is likely meant to be %p', (written, name) => {
  expect(nearestName(written, names)).toBe(name);
});
