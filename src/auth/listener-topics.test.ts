import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { isValidTopicFilter, isValidTopicName, topicMatches } from '../protocol/topic.ts';
import { sized } from '../../test/support/long-run.ts';
import { Coverage } from './access-control.ts';
import { AclAccess } from './acl-access.ts';
import { parseAclFile } from './acl-file.ts';
import { ListenerTopics } from './listener-topics.ts';

const client = { clientId: 'c', username: null };

function topicsOf(mountPoint: string, acl: string | null) {
  const topics = new ListenerTopics(mountPoint);
  topics.rules = acl === null ? null : new AclAccess(parseAclFile(acl, 'acl'));
  return topics;
}

test('without rules and mount point everything may be published and received', () => {
  const all = topicsOf('', null).forClient(client);
  expect([all.canPublish('a'), all.canReceive('a'), all.coverage('#'), all.warning]).toEqual([
    true,
    true,
    Coverage.all,
    null,
  ]);
});

test('a client of the listener finds the rules that hold after a reload through its owner', () => {
  const topics = topicsOf('', 'topic a');
  const before = topics.forClient(client);
  topics.rules = new AclAccess(parseAclFile('topic b', 'acl'));
  expect([before.canReceive('a'), before.canReceive('b')]).toEqual([true, false]);
  const after = before.owner!.forClient!(client);
  expect([after.canReceive('a'), after.canReceive('b')]).toEqual([false, true]);
  expect(after.owner).toBe(topics);
});

test('what its rules warn of is told', () => {
  const topics = topicsOf('', 'pattern read %c/#');
  expect(topics.forClient({ clientId: '#', username: null }).warning).toContain('dangerous');
});

test('a mount point hides what does not begin with it, and itself', () => {
  const inside = topicsOf('mp/', null).forClient(client);
  expect(['mp/a', 'mp/', 'mp', 'x', 'mpa'].map((topic) => inside.canReceive(topic))).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
  expect(inside.canPublish('x')).toBe(true);
});

test('coverage promises nothing that the decisions do not keep', () => {
  const level = fc.constantFrom('a', 'b', 'm', '');
  const name = fc
    .array(level, { minLength: 1, maxLength: 4 })
    .map((levels) => levels.join('/'))
    .filter(isValidTopicName);
  const filter = fc
    .array(fc.oneof(level, fc.constantFrom('+', '#')), { minLength: 1, maxLength: 4 })
    .map((levels) => levels.join('/'))
    .filter(isValidTopicFilter);
  const mountPoint = fc.constantFrom('', 'm', 'm/', 'm/a', 'a/');
  const acl = fc.constantFrom(null, 'topic m/#', 'topic deny m/a/#\ntopic #', 'pattern read +/a/#', 'topic write #');
  fc.assert(
    fc.property(
      mountPoint,
      acl,
      filter,
      fc.array(name, { minLength: 1, maxLength: 20 }),
      (mount, rules, one, names) => {
        const topics = topicsOf(mount, rules).forClient(client);
        const promised = topics.coverage(one);
        expect(topics.coverage(`$share/g/${one}`)).toBe(promised);
        for (const topic of names.filter((candidate) => topicMatches(one, candidate))) {
          if (promised === Coverage.all) expect([topic, topics.canReceive(topic)]).toEqual([topic, true]);
          if (promised === Coverage.none) expect([topic, topics.canReceive(topic)]).toEqual([topic, false]);
        }
      },
    ),
    { numRuns: sized(700, 10_000) },
  );
});
