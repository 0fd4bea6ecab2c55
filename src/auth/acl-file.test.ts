import { describe, expect, test } from 'bun:test';
import { ConfigError } from '../config/config-error.ts';
import { MAX_TOPIC_LEVELS } from '../protocol/topic.ts';
import { parseAclFile } from './acl-file.ts';
import { Rights } from './topic-rules.ts';

const { read, write, deny } = Rights;

/** The rules of each section as `RIGHTS FILTER`. */
function sections(text: string) {
  const { anonymous, users, patterns } = parseAclFile(text, 'acl');
  const show = (rules: typeof anonymous) => rules.map(({ rights, topicFilter }) => `${rights} ${topicFilter}`);
  return {
    anonymous: show(anonymous),
    users: Object.fromEntries(Array.from(users, ([name, rules]) => [name, show(rules)])),
    patterns: show(patterns),
  };
}

function problemsOf(source: string | Uint8Array): string[] {
  try {
    parseAclFile(source, 'acl');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('what an ACL file says', () => {
  test('rules above the first user are for clients without a user name, those below for that user', () => {
    const text = 'topic read a\nuser u\ntopic write b\n\nuser v\ntopic c\nuser u\ntopic deny d\n';
    expect(sections(text)).toEqual({
      anonymous: [`${read} a`],
      users: { u: [`${write} b`, `${deny} d`], v: [`${read | write} c`] },
      patterns: [],
    });
  });

  test('patterns are for all, wherever they stand', () => {
    expect(sections('pattern read %u/#\nuser u\npattern deny %c/x\n').patterns).toEqual([
      `${read} %u/#`,
      `${deny} %c/x`,
    ]);
  });

  test('names and filters may hold blanks, and blanks around them do not count', () => {
    const text = 'user   anna  lee \t\n  topic   readwrite   a b/c d  \r\n';
    expect(sections(text).users).toEqual({ 'anna  lee': [`${read | write} a b/c d`] });
  });

  test('a word that stands alone is the filter, whatever it is', () => {
    expect(sections('topic read\ntopic deny\ntopic read write').anonymous).toEqual([
      `${read | write} read`,
      `${read | write} deny`,
      `${read} write`,
    ]);
  });

  test('comments begin in the first column', () => {
    expect(sections('# topic a\n#\n\n   \ntopic #\n').anonymous).toEqual([`${read | write} #`]);
    expect(problemsOf('  # x')).toEqual(["acl:1: unknown word '#'; expected user, topic or pattern"]);
  });

  test('%c and %u are text in a topic rule', () => {
    expect(sections('topic %c/%u').anonymous).toEqual([`${read | write} %c/%u`]);
  });

  test('a byte order mark in front and a missing line feed at the end change nothing', () => {
    expect(sections('\ufefftopic a\ntopic b').anonymous).toEqual([`${read | write} a`, `${read | write} b`]);
  });

  test('a user without rules may do nothing, and is known', () => {
    expect(sections('user u\n').users).toEqual({ u: [] });
  });
});

describe('what is refused, with file and line', () => {
  test.each([
    ['user', 'acl:1: user: expected a user name'],
    ['user   ', 'acl:1: user: expected a user name'],
    ['topic', 'acl:1: topic: expected a topic filter'],
    ['pattern ', 'acl:1: pattern: expected a topic filter'],
    [
      '\n\ntopic wirte a',
      "acl:3: topic: unknown access 'wirte', expected read, write, readwrite or deny; did you mean write?",
    ],
    ['topic a/#/b', "acl:1: topic: 'a/#/b' is no topic filter: + and # must each fill a level, and # be the last"],
    ['topic read a+', "acl:1: topic: 'a+' is no topic filter: + and # must each fill a level, and # be the last"],
    ['pattern %c#', "acl:1: pattern: '%c#' is no topic filter: + and # must each fill a level, and # be the last"],
    ['topics a', "acl:1: unknown word 'topics'; did you mean topic?"],
    ['Topic a', "acl:1: unknown word 'Topic'; did you mean topic?"],
    ['topic\ta', "acl:1: unknown word 'topic?a'; a blank, not a tab, must follow topic"],
    ['allow everything', "acl:1: unknown word 'allow'; expected user, topic or pattern"],
  ])('%j', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  test('a filter with a blank in it and no access', () => {
    expect(problemsOf('topic living room/lamp')).toEqual([
      "acl:1: topic: unknown access 'living', expected read, write, readwrite or deny (a filter with blanks in it needs its access named)",
    ]);
  });

  test('all problems are told at once', () => {
    expect(problemsOf('user\ntopic a\nfoo\ntopic')).toHaveLength(3);
  });

  test('lines that are not UTF-8, or hold NUL', () => {
    expect(problemsOf(Uint8Array.of(0x74, 0x6f, 0x70, 0x69, 0x63, 0x20, 0xff))).toEqual([
      'acl:1: the line is not UTF-8',
    ]);
    expect(problemsOf('topic a\ntopic b\0c')).toEqual(['acl:2: the line holds a NUL byte']);
  });

  test('a filter longer than any topic, and one with too many levels', () => {
    expect(problemsOf(`topic ${'ä'.repeat(32_768)}`)).toHaveLength(1);
    expect(problemsOf(`topic ${'a'.repeat(65_535)}`)).toEqual([]);
    expect(problemsOf(`topic ${'a/'.repeat(MAX_TOPIC_LEVELS)}a`)).toHaveLength(1);
  });
});

test('lines that may not mean what they seem to are warned of', () => {
  const { warnings } = parseAclFile('pattern read a/#\ntopic read\tb\npattern %c', 'acl');
  expect(warnings).toEqual([
    { file: 'acl', line: 1, text: "ACL pattern 'a/#' does not contain '%c' or '%u'." },
    { file: 'acl', line: 2, text: "topic: the filter 'read?b' holds a tab" },
  ]);
});
