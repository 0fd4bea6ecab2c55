import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { topicMatches } from '../protocol/topic.ts';
import { sized } from '../../test/support/long-run.ts';
import { AclAccess } from './acl-access.ts';
import { parseAclFile } from './acl-file.ts';
import { type ClientNames, Coverage } from './access-control.ts';
import { filterCovers, filtersOverlap } from './topic-rules.ts';

const access = (text: string) => new AclAccess(parseAclFile(text, 'acl'));
const named = (clientId: string, username: string | null = null): ClientNames => ({ clientId, username });

/** `r`, `w`, `rw` or nothing. */
function rights(text: string, client: ClientNames, topicName: string): string {
  const topics = access(text).forClient(client);
  return (topics.canReceive(topicName) ? 'r' : '') + (topics.canPublish(topicName) ? 'w' : '');
}

describe('the section of a client', () => {
  const text = [
    'topic read open/#',
    'user u',
    'topic a/#',
    'topic deny a/secret',
    'topic write log/+',
    'topic deny log/x',
  ].join('\n');

  test('without a user name, or with an empty one, it is the anonymous one', () => {
    expect(rights(text, named('c'), 'open/x')).toBe('r');
    expect(rights(text, named('c', ''), 'open/x')).toBe('r');
    expect(rights(text, named('c'), 'a/b')).toBe('');
  });

  test('a user gets that of the user alone, and an unknown user nothing', () => {
    expect(rights(text, named('c', 'u'), 'a/b')).toBe('rw');
    expect(rights(text, named('c', 'u'), 'open/x')).toBe('');
    expect(rights(text, named('c', 'v'), 'open/x')).toBe('');
  });

  test('deny wins, wherever it stands', () => {
    expect(rights(text, named('c', 'u'), 'a/secret')).toBe('');
    expect(rights('topic deny a\ntopic #', named('c'), 'a')).toBe('');
    expect(rights('topic #\ntopic deny a', named('c'), 'a')).toBe('');
    expect(rights(text, named('c', 'u'), 'log/x')).toBe('');
    expect(rights(text, named('c', 'u'), 'log/y')).toBe('w');
  });

  test('a wildcard in front leaves $ topics alone', () => {
    expect(rights('topic #\ntopic +/x', named('c'), '$SYS/x')).toBe('');
    expect(rights('topic read $SYS/#', named('c'), '$SYS/broker/uptime')).toBe('r');
  });

  test('a file without rules lets nobody do anything', () => {
    expect(rights('', named('c'), 'a')).toBe('');
    expect(rights('', named('c', 'u'), 'a')).toBe('');
  });
});

describe('patterns', () => {
  test('%c and %u are the names of the client', () => {
    expect(rights('pattern %c/%u/#', named('c1', 'u1'), 'c1/u1/x')).toBe('rw');
    expect(rights('pattern %c/%u/#', named('c1', 'u1'), 'c1/u2/x')).toBe('');
    expect(rights('pattern read %c', named('c1'), 'c1')).toBe('r');
  });

  test('part of a level may be a name', () => {
    expect(rights('pattern dev-%c-%u/x', named('1', 'u'), 'dev-1-u/x')).toBe('rw');
    expect(rights('pattern dev-%c-%u/x', named('1', 'u'), 'dev-%c-%u/x')).toBe('');
  });

  test('with %u are not for clients without a user name', () => {
    expect(rights('pattern %u/x\npattern deny %u/#\npattern #', named('c'), 'a/x')).toBe('rw');
    expect(rights('pattern %u/x', named('c', ''), '/x')).toBe('');
  });

  test('decide what the section leaves open, and no more', () => {
    expect(rights('user u\ntopic read a\npattern write a', named('c', 'u'), 'a')).toBe('rw');
    expect(rights('user u\ntopic read a\npattern deny a\npattern write a', named('c', 'u'), 'a')).toBe('r');
    expect(rights('user u\ntopic deny a\npattern a', named('c', 'u'), 'a')).toBe('');
    expect(rights('pattern a\npattern deny a', named('c'), 'a')).toBe('');
  });

  test('a name that holds / reaches into no other level', () => {
    expect(rights('pattern %c/x', named('a/b'), 'a/b/x')).toBe('');
    expect(rights('pattern a/%u', named('c', 'b/c'), 'a/b/c')).toBe('');
  });

  test('a name that begins with $ opens no $ topics', () => {
    expect(rights('pattern %c/#', named('$SYS'), '$SYS/broker/uptime')).toBe('');
    expect(rights('pattern $x-%c/#', named('c'), '$x-c/y')).toBe('rw');
  });

  test.each([
    [named('c', 'a+'), 'ACL denying access to client with dangerous username "a+"'],
    [named('c#', 'u'), 'ACL denying access to client with dangerous client id "c#"'],
  ])('help no client with a wildcard in its name: %j', (client, warning) => {
    const text = 'user u\ntopic read own\nuser a+\ntopic read own\npattern #';
    expect(rights(text, client, 'x')).toBe('');
    expect(rights(text, client, 'own')).toBe('r');
    expect(access(text).forClient(client).warning).toBe(warning);
    expect(access('topic #').forClient(client).warning).toBeNull();
  });
});

test('SUBSCRIBE is granted whatever the filter', () => {
  expect(access('').canSubscribe()).toBe(true);
});

test('canPublish by identity says what the handle says', () => {
  const acl = access('user u\ntopic write a\npattern write %c/x');
  const address = '';
  for (let i = 0; i < 3_000; i++) {
    expect(acl.canPublish({ clientId: `c${i}`, username: 'u', address }, `c${i}/x`)).toBe(true);
  }
  expect(acl.canPublish({ clientId: 'c1', username: 'u', address }, 'c2/x')).toBe(false);
  expect(acl.canPublish({ clientId: 'c1', username: 'u', address }, 'a')).toBe(true);
  // The key of user and client is no other pair's.
  expect(acl.canPublish({ clientId: 'u', username: null, address }, 'a')).toBe(false);
});

test('decisions are kept for a bounded number of topics, and stay right', () => {
  const topics = access('pattern read %c/+').forClient(named('c'));
  for (let i = 0; i < 2_000; i++) expect(topics.canReceive(`${i % 2 === 0 ? 'c' : 'd'}/${i}`)).toBe(i % 2 === 0);
  for (let i = 0; i < 2_000; i++) expect(topics.canReceive(`${i % 2 === 0 ? 'c' : 'd'}/${i}`)).toBe(i % 2 === 0);
});

describe('coverage of a filter', () => {
  const { none, some, all } = Coverage;
  test.each([
    ['topic a/#', 'a/+/b', all],
    ['topic a/#', 'a', all],
    ['topic a/+', 'a/#', some],
    ['topic write #', '#', none],
    ['topic #', '$SYS/#', none],
    ['topic #\ntopic deny a/secret', 'b/#', all],
    ['topic #\ntopic deny a/secret', '#', some],
    ['topic #\ntopic deny a/#', 'a/+', none],
    ['topic read a\npattern read #', '#', all],
    ['topic deny a\npattern read #', '#', some],
    ['pattern read %c/#', 'c/x/#', all],
    ['pattern read %c/#', 'd/#', none],
    ['pattern read %c/#', '+/x', some],
    ['pattern read %u/#', 'x', none],
    ['pattern read #\npattern deny %c/#', 'c/x', none],
    ['topic a/#', '$share/g/a/b', all],
    ['topic a/#', '$share/g/b', none],
  ])('%j, %s', (text, filter, expected) => {
    expect(access(text).forClient(named('c')).coverage(filter)).toBe(expected);
  });
});

describe('against the plain definition', () => {
  const level = fc.constantFrom('a', 'b', 'c', '', '$a');
  const topicName = fc.array(level, { minLength: 1, maxLength: 3 }).map((levels) => levels.join('/') || 'a');
  const filter = fc
    .tuple(fc.array(fc.constantFrom('a', 'b', 'c', '', '$a', '+'), { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, isOpen]) => (isOpen ? [...levels.slice(0, -1), '#'] : levels).join('/') || '+');
  const pattern = fc.constantFrom('%c', 'a/%c', '+/%c/#', '%u/a', '%c%u', 'b/x%c', '#', 'a/#', '$a/%c', '%u/+');
  const right = fc.constantFrom('read', 'write', 'readwrite', 'deny');
  const names = fc.record({
    clientId: fc.constantFrom('a', 'b', 'c', '$a', 'a/b', 'a+'),
    username: fc.constantFrom(null, 'a', 'c', 'b', '', 'x'),
  });
  const file = fc
    .tuple(
      fc.array(fc.tuple(right, filter), { maxLength: 4 }),
      fc.array(fc.tuple(right, filter), { maxLength: 4 }),
      fc.array(fc.tuple(right, fc.oneof(pattern, filter)), { maxLength: 3 }),
    )
    .map(([anonymous, own, patterns]) =>
      [
        ...anonymous.map((rule) => `topic ${rule.join(' ')}`),
        'user a',
        ...own.map((rule) => `topic ${rule.join(' ')}`),
        ...patterns.map((rule) => `pattern ${rule.join(' ')}`),
      ].join('\n'),
    );

  /** One rule after the other, with texts put together: slow, and easy to believe. */
  function expected(text: string, { clientId, username }: ClientNames, topic: string, wanted: 'read' | 'write') {
    const { anonymous, users, patterns } = parseAclFile(text, 'acl');
    const bit = wanted === 'read' ? 1 : 2;
    const own = username === null || username === '' ? anonymous : (users.get(username) ?? []);
    const ask = (matching: readonly { readonly rights: number }[]): boolean | null => {
      if (matching.some((rule) => rule.rights === 4)) return false;
      return matching.some((rule) => (rule.rights & bit) !== 0) ? true : null;
    };
    const answer = ask(own.filter((rule) => topicMatches(rule.topicFilter, topic)));
    if (answer !== null) return answer;
    if (/[+#]/.test(clientId + (username ?? ''))) return false;
    const general = patterns.filter(({ topicFilter }) => {
      for (const [mark, name] of [
        ['%c', clientId],
        ['%u', username],
      ] as const) {
        if (topicFilter.includes(mark) && (name === null || name === '' || name.includes('/'))) return false;
      }
      if (topic.startsWith('$') && !topicFilter.startsWith('$')) return false;
      const resolved = topicFilter.replaceAll('%c', () => clientId).replaceAll('%u', () => username ?? '');
      return topicMatches(resolved, topic);
    });
    return ask(general) ?? false;
  }

  test('every decision', () => {
    fc.assert(
      fc.property(file, names, fc.array(topicName, { minLength: 1, maxLength: 8 }), (text, client, topics) => {
        const handle = access(text).forClient(client);
        for (const topic of topics) {
          expect([topic, handle.canReceive(topic)]).toEqual([topic, expected(text, client, topic, 'read')]);
          expect([topic, handle.canPublish(topic)]).toEqual([topic, expected(text, client, topic, 'write')]);
        }
      }),
      { numRuns: sized(1_000, 10_000) },
    );
  });

  const levels = ['a', 'b', 'c', '', '$a', 'z'];
  const allTopics = levels.flatMap((one) => [
    one,
    ...levels.flatMap((two) => [`${one}/${two}`, ...levels.map((three) => `${one}/${two}/${three}`)]),
  ]);

  test('coverage promises nothing that the decisions do not keep', () => {
    fc.assert(
      fc.property(file, names, filter, (text, client, topicFilter) => {
        const handle = access(text).forClient(client);
        const coverage = handle.coverage(topicFilter);
        if (coverage === Coverage.some) return;
        for (const topic of allTopics) {
          if (topic === '' || !topicMatches(topicFilter, topic)) continue;
          expect([topic, handle.canReceive(topic)]).toEqual([topic, coverage === Coverage.all]);
        }
      }),
      { numRuns: sized(1_000, 10_000) },
    );
  });

  test('filters that cover and overlap', () => {
    fc.assert(
      fc.property(filter, filter, (outer, inner) => {
        // The empty name is no topic, yet what `/#` and `+` have in common.
        const matched = (topicFilter: string) => new Set(allTopics.filter((topic) => topicMatches(topicFilter, topic)));
        const [of, by] = [matched(outer), matched(inner)];
        const common = of.intersection(by);
        if (filterCovers(outer, inner)) expect(common.size).toBe(by.size);
        expect(filtersOverlap(outer, inner)).toBe(common.size > 0);
      }),
      { numRuns: sized(1_000, 10_000) },
    );
  });
});
