/** The same bytes to Mosquitto and to Martlet: what comes back differs only where docs/mosquitto.md says so. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { compareAll, type Difference } from './compare.ts';
import { findIntended, intendedDifferences, type Tails } from './differences.ts';
import { allSequences } from './sequences/all.ts';

/** A machine at its limit may be late for the time that a sequence gives an answer; late twice is not chance. */
const ATTEMPTS = 3;

let differences: readonly Difference[] = [];
let unanswered: readonly string[] = [];

beforeAll(async () => {
  ({ differences, unanswered } = await compareAll(allSequences));
  for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
    const isUnlisted = (one: Difference) => findIntended(one) === null;
    const doubtful = new Set([...differences.filter(isUnlisted).map((one) => one.sequence), ...unanswered]);
    if (doubtful.size === 0) break;
    const again = await compareAll(allSequences.filter((one) => doubtful.has(one.name)));
    differences = [...differences.filter((one) => !doubtful.has(one.sequence)), ...again.differences];
    ({ unanswered } = again);
  }
}, 120_000);

const name = (one: Difference) => `${one.sequence} [${one.client}]`;

describe('Martlet and Mosquitto', () => {
  test('get sequences whose names and tags are their own', () => {
    expect(new Set(allSequences.map((one) => one.name)).size).toBe(allSequences.length);
    expect(new Set(allSequences.map((one) => one.tag)).size).toBe(allSequences.length);
  });

  test('leave no sequence without the answers that it waits for', () => {
    expect(unanswered).toEqual([]);
  });

  test('answer alike but for the differences that are meant', () => {
    expect(differences.filter((one) => findIntended(one) === null)).toEqual([]);
  });

  test('differ wherever the list of differences says so', () => {
    const found = new Map<Tails, string[]>();
    for (const one of differences) {
      const listed = findIntended(one);
      if (listed !== null) found.set(listed, [...(found.get(listed) ?? []), name(one)]);
    }
    const wrong = intendedDifferences.flatMap(({ heading, tails }) =>
      tails
        .map((one) => ({ heading, where: one.where, listed: one.count, found: found.get(one) ?? [] }))
        .filter((one) => one.found.length !== one.listed),
    );
    expect(wrong).toEqual([]);
  });

  test('differ by a list that docs/mosquitto.md explains, heading by heading', async () => {
    const text = await Bun.file(new URL('../../docs/mosquitto.md', import.meta.url)).text();
    const section = text.split('\n## ').find((part) => part.startsWith('Differences from Mosquitto 2.0'));
    const headings = [...(section ?? '').matchAll(/^### (.+)$/gm)].map((match) => match[1]!);
    expect(headings).toEqual(intendedDifferences.map((one) => one.heading));
  });
});
