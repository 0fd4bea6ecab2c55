// `acl_file`: the text of Mosquitto's access control lists, read line by line.
import { ConfigError, type ConfigProblem, quoted } from '../config/config-error.ts';
import { nearestName } from '../config/nearest-name.ts';
import { isValidTopicFilter } from '../protocol/topic.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import { fileLines, trimBlanks, trimEnd } from './file-lines.ts';
import { Rights, type TopicRule } from './topic-rules.ts';

export interface AclFile {
  /** Of clients without a user name: what stands above the first `user` line. */
  readonly anonymous: readonly TopicRule[];
  readonly users: ReadonlyMap<string, readonly TopicRule[]>;
  /** For all clients, wherever they stand in the file. */
  readonly patterns: readonly TopicRule[];
  /** Lines that may not mean what they seem to. */
  readonly warnings: readonly ConfigProblem[];
}

const accessKinds: Readonly<Record<string, number>> = {
  read: Rights.read,
  write: Rights.write,
  readwrite: Rights.read | Rights.write,
  deny: Rights.deny,
};

/**
 * Reads `user NAME`, `topic [ACCESS] FILTER` and `pattern [ACCESS] FILTER`. Words are parted by blanks (a tab is none),
 * `#` in the first column begins a comment, and what follows the access, or `user`, may hold blanks. A word that stands
 * alone is a filter, even if it is `read`.
 *
 * @param file its name, for messages
 * @throws ConfigError with all that is wrong
 */
export function parseAclFile(source: Uint8Array | string, file: string): AclFile {
  const reader = new AclReader(file);
  for (const { number, text, problem } of fileLines(source)) {
    if (problem !== null) reader.refuse(number, problem);
    else reader.read(number, trimEnd(text));
  }
  return reader.end();
}

class AclReader {
  private readonly file: string;
  private readonly anonymous: TopicRule[] = [];
  private readonly users = new Map<string, TopicRule[]>();
  private readonly patterns: TopicRule[] = [];
  private readonly warnings: ConfigProblem[] = [];
  private readonly problems: ConfigProblem[] = [];
  private section = this.anonymous;

  constructor(file: string) {
    this.file = file;
  }

  refuse(line: number, text: string): void {
    this.problems.push({ file: this.file, line, text });
  }

  private warn(line: number, text: string): void {
    this.warnings.push({ file: this.file, line, text });
  }

  read(line: number, text: string): void {
    if (text.startsWith('#')) return;
    const [keyword, rest] = splitWord(text);
    switch (keyword) {
      case '':
        return;
      case 'user':
        return this.readUser(line, trimBlanks(rest));
      case 'topic':
        return this.readRule(line, keyword, rest, this.section);
      case 'pattern':
        return this.readRule(line, keyword, rest, this.patterns);
    }
    // A tab after the word makes it another word.
    const word = keyword.split('\t', 1)[0]!;
    const nearest = nearestName(word, ['user', 'topic', 'pattern']);
    const hint =
      word !== keyword && nearest === word
        ? `; a blank, not a tab, must follow ${word}`
        : nearest === null
          ? '; expected user, topic or pattern'
          : `; did you mean ${nearest}?`;
    this.refuse(line, `unknown word ${quoted(keyword)}${hint}`);
  }

  private readUser(line: number, name: string): void {
    if (name === '') return this.refuse(line, 'user: expected a user name');
    const known = this.users.get(name);
    this.section = known ?? [];
    if (known === undefined) this.users.set(name, this.section);
  }

  private readRule(line: number, keyword: string, text: string, section: TopicRule[]): void {
    const [first, rest] = splitWord(text);
    if (first === '') return this.refuse(line, `${keyword}: expected a topic filter`);
    const after = trimBlanks(rest);
    const topicFilter = after === '' ? first : after;
    let rights: number = accessKinds['readwrite']!;
    if (after !== '') {
      if (!Object.hasOwn(accessKinds, first)) {
        const nearest = nearestName(first, Object.keys(accessKinds));
        const hint =
          nearest === null ? ' (a filter with blanks in it needs its access named)' : `; did you mean ${nearest}?`;
        return this.refuse(
          line,
          `${keyword}: unknown access ${quoted(first)}, expected read, write, readwrite or deny${hint}`,
        );
      }
      rights = accessKinds[first]!;
    }
    if (!isValidTopicFilter(topicFilter) || encodeUtf8(topicFilter).length > 65_535) {
      return this.refuse(
        line,
        `${keyword}: ${quoted(topicFilter)} is no topic filter: + and # must each fill a level, and # be the last`,
      );
    }
    if (topicFilter.includes('\t')) this.warn(line, `${keyword}: the filter ${quoted(topicFilter)} holds a tab`);
    if (keyword === 'pattern' && !/%[cu]/.test(topicFilter)) {
      this.warn(line, `ACL pattern '${quoted(topicFilter).slice(1, -1)}' does not contain '%c' or '%u'.`);
    }
    section.push({ topicFilter, rights });
  }

  end(): AclFile {
    if (this.problems.length > 0) throw new ConfigError(this.problems);
    const { anonymous, users, patterns, warnings } = this;
    return { anonymous, users, patterns, warnings };
  }
}

/** The first word and all behind the blank that ends it. */
function splitWord(text: string): [word: string, rest: string] {
  let start = 0;
  while (text[start] === ' ') start++;
  const end = text.indexOf(' ', start);
  return end < 0 ? [text.slice(start), ''] : [text.slice(start, end), text.slice(end + 1)];
}
