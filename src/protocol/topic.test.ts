import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { topicFilter, topicName } from '../../test/support/codec/arbitraries.ts';
import {
  hasWildcard,
  isSharedFilter,
  isValidTopicFilter,
  isValidTopicName,
  isValidTopicNameBytes,
  MAX_TOPIC_LEVELS,
  parseSharedFilter,
  topicMatches,
} from './topic.ts';
import { encodeUtf8 } from './utf8.ts';

/** Section 4.7 level by level. */
function reference(filter: string, name: string): boolean {
  const wanted = filter.split('/');
  const levels = name.split('/');
  if (name.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false;
  const isOpen = wanted.at(-1) === '#';
  if (isOpen) wanted.pop();
  if (isOpen ? levels.length < wanted.length : levels.length !== wanted.length) return false;
  return wanted.every((level, index) => level === '+' || level === levels[index]);
}

function isValidFilterReference(filter: string): boolean {
  const levels = filter.split('/');
  if (filter === '' || filter.includes('\0') || levels.length > MAX_TOPIC_LEVELS) return false;
  return levels.every((level, index) => {
    if (level === '+') return true;
    if (level === '#') return index === levels.length - 1;
    return !/[+#]/.test(level);
  });
}

describe('topicMatches', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['sport/tennis/player1/#', ['sport/tennis/player1', 'sport/tennis/player1/a/b'], ['sport/tennis/player2', 'sport']],
    ['a/#', ['a', 'a/', 'a/b', 'a//c'], ['ab', 'b', '/a', 'b/a']],
    ['#', ['a', '/', 'a/b', '/a'], ['$SYS', '$SYS/a', '$']],
    ['+', ['a', ' ', 'b$'], ['/a', 'a/', 'a/b', '$SYS']],
    ['+/+', ['/finance', 'a/b', '/'], ['finance', '/a/b', '$SYS/a']],
    ['/+', ['/finance', '/'], ['finance', '//']],
    ['sport/+', ['sport/', 'sport/a'], ['sport', 'sport/a/b']],
    ['+/tennis/#', ['a/tennis', '/tennis/b'], ['tennis', '$SYS/tennis']],
    ['+/#', ['a', 'a/b', '/'], ['$a']],
    ['$SYS/#', ['$SYS', '$SYS/a'], ['$SYSTEM', 'a']],
    ['$SYS/+', ['$SYS/a', '$SYS/$b'], ['$SYS']],
    ['a/$b/+', ['a/$b/c'], ['a/b/c']],
    ['ACCOUNTS', ['ACCOUNTS'], ['Accounts', 'ACCOUNTS/', 'ACCOUNT']],
    ['Accounts payable', ['Accounts payable'], ['Accountspayable']],
    ['/', ['/'], ['//', 'a', 'a/', '/a']],
    ['//+', ['//', '//a'], ['/', '/a', '///']],
    ['a//b', ['a//b'], ['a/b', 'a/ /b']],
  ];

  test.each(cases)(
    'v5 [MQTT-4.7.1-1] [MQTT-4.7.1-2] v3.1.1 [MQTT-4.7.1-2] [MQTT-4.7.1-3] matches by level: %s',
    (filter, good, bad) => {
      for (const name of good) expect(topicMatches(filter, name), name).toBe(true);
      for (const name of bad) expect(topicMatches(filter, name), name).toBe(false);
      for (const name of [...good, ...bad]) expect(reference(filter, name)).toBe(good.includes(name));
    },
  );

  test('v5 [MQTT-4.7.2-1] v3.1.1 [MQTT-4.7.2-1] keeps wildcards in front away from topics that begin with $', () => {
    for (const filter of ['#', '+', '+/#', '+/monitor/Clients', '+/+']) {
      for (const name of ['$SYS', '$SYS/monitor/Clients', '$', '$/a']) {
        expect(topicMatches(filter, name), `${filter} ${name}`).toBe(false);
      }
    }
    expect(topicMatches('$SYS/monitor/+', '$SYS/monitor/Clients')).toBe(true);
  });

  test('v5 [MQTT-4.7.3-4] v3.1.1 [MQTT-4.7.3-4] compares code points without normalization', () => {
    expect(topicMatches('caf\u00e9', 'cafe\u0301')).toBe(false);
    expect(topicMatches('\ufeffa', 'a')).toBe(false);
    expect(topicMatches('a', 'A')).toBe(false);
    expect(topicMatches('\u{2a6d4}/+', '\u{2a6d4}/\ufeff')).toBe(true);
  });

  test('agrees with a comparison level by level, over a small alphabet', () => {
    const level = fc.constantFrom('', 'a', 'b', 'ab', '$a', '$');
    const name = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
    const filter = fc
      .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 5 }), fc.constantFrom([], ['#']))
      .map(([levels, tail]) => [...levels, ...tail].join('/'));
    fc.assert(
      fc.property(filter, name, (wanted, given) => {
        fc.pre(isValidTopicFilter(wanted) && isValidTopicName(given));
        expect(topicMatches(wanted, given)).toBe(reference(wanted, given));
      }),
      { numRuns: 5_000 },
    );
  });

  test('agrees with a comparison level by level, over any names', () => {
    fc.assert(
      fc.property(topicFilter, topicName, (filter, name) => {
        expect(topicMatches(filter, name)).toBe(reference(filter, name));
        expect(topicMatches(name, name)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('topic names', () => {
  test('v5 [MQTT-4.7.0-1] v3.1.1 [MQTT-4.7.1-1] hold no wildcard', () => {
    for (const name of ['+', '#', 'a/+', 'a/#', 'a+b', 'a#', '+a/b']) expect(isValidTopicName(name), name).toBe(false);
  });

  test('v5 [MQTT-4.7.3-1] v3.1.1 [MQTT-4.7.3-1] have one character at least', () => {
    expect(isValidTopicName('')).toBe(false);
    for (const name of ['a', '/', ' ', '//', '$', 'a/', '/a', 'Accounts payable']) {
      expect(isValidTopicName(name), name).toBe(true);
    }
  });

  test('v5 [MQTT-4.7.3-2] v3.1.1 [MQTT-4.7.3-2] hold no U+0000', () => {
    expect(isValidTopicName('a\0b')).toBe(false);
    expect(isValidTopicFilter('a\0b')).toBe(false);
  });

  test('have 201 levels at most, as in Mosquitto', () => {
    expect(isValidTopicName('/'.repeat(MAX_TOPIC_LEVELS - 1))).toBe(true);
    expect(isValidTopicName('/'.repeat(MAX_TOPIC_LEVELS))).toBe(false);
  });

  test('are checked alike as string and as bytes', () => {
    const text = fc.array(fc.constantFrom('a', 'é', '+', '#', '/', '\u{2a6d4}'), { maxLength: 6 });
    fc.assert(
      fc.property(text, (parts) => {
        const bytes = encodeUtf8(`x${parts.join('')}y`);
        expect(isValidTopicNameBytes(bytes, 1, bytes.length - 1)).toBe(isValidTopicName(parts.join('')));
      }),
      { numRuns: 1_000 },
    );
    const deep = encodeUtf8('/'.repeat(MAX_TOPIC_LEVELS));
    expect(isValidTopicNameBytes(deep, 0, deep.length)).toBe(false);
    expect(isValidTopicNameBytes(deep, 1, deep.length)).toBe(true);
  });
});

describe('topic filters', () => {
  test('v5 [MQTT-4.7.1-1] v3.1.1 [MQTT-4.7.1-2] hold # alone in the last level only', () => {
    for (const filter of ['#', 'a/#', '/#', '+/#', '//#']) expect(isValidTopicFilter(filter), filter).toBe(true);
    for (const filter of ['a#', '#a', 'a/#/b', '#/', '##', 'a/b#', '#/#']) {
      expect(isValidTopicFilter(filter), filter).toBe(false);
    }
  });

  test('v5 [MQTT-4.7.1-2] v3.1.1 [MQTT-4.7.1-3] hold + alone in a level only', () => {
    for (const filter of ['+', '+/+', '/+', '+/', 'a/+/b']) expect(isValidTopicFilter(filter), filter).toBe(true);
    for (const filter of ['a+', '+a', '++', 'a/+b/c', '+#', '#+']) {
      expect(isValidTopicFilter(filter), filter).toBe(false);
    }
  });

  test('are valid or not as their levels say', () => {
    const text = fc.array(fc.constantFrom('a', '+', '#', '/', '\0'), { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (filter) => {
        expect(isValidTopicFilter(filter)).toBe(isValidFilterReference(filter));
        expect(hasWildcard(filter)).toBe(/[+#]/.test(filter));
      }),
      { numRuns: 3_000 },
    );
    expect(isValidTopicFilter('/'.repeat(MAX_TOPIC_LEVELS - 1))).toBe(true);
    expect(isValidTopicFilter('/'.repeat(MAX_TOPIC_LEVELS))).toBe(false);
  });
});

describe('shared filters', () => {
  test('v5 [MQTT-4.8.2-1] begin with $share/ and a share name of one character at least', () => {
    expect(isSharedFilter('$share/g/a')).toBe(true);
    for (const filter of ['$share', '$shared/g/a', '/$share/g/a', 'share/g/a', '$SHARE/g/a']) {
      expect(isSharedFilter(filter), filter).toBe(false);
    }
    expect(parseSharedFilter('$share/g/a/+')).toEqual({ shareName: 'g', topicFilter: 'a/+' });
    expect(parseSharedFilter('$share/consumer1//finance')).toEqual({ shareName: 'consumer1', topicFilter: '/finance' });
    expect(parseSharedFilter('$share/g/$SYS/#')).toEqual({ shareName: 'g', topicFilter: '$SYS/#' });
    for (const filter of ['$share/', '$share//a', '$share//']) expect(parseSharedFilter(filter), filter).toBeNull();
  });

  test('v5 [MQTT-4.8.2-2] go on with / and a valid filter, and have no wildcard in the share name', () => {
    for (const filter of [
      '$share/g',
      '$share/g/',
      '$share/+/a',
      '$share/#/a',
      '$share/a+/b',
      '$share/g/a#',
      '$share/g/#/a',
    ]) {
      expect(parseSharedFilter(filter), filter).toBeNull();
    }
  });

  test('give back name and filter they were made of', () => {
    const shareName = fc.constantFrom('g', 'group 1', 'é', '$');
    fc.assert(
      fc.property(shareName, topicFilter, (name, filter) => {
        expect(parseSharedFilter(`$share/${name}/${filter}`)).toEqual({ shareName: name, topicFilter: filter });
      }),
    );
  });
});
