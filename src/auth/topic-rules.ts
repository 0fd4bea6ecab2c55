// Rules on topics, compiled: which of them match a topic name, and how they relate to a topic filter.
import type { ClientNames } from './access-control.ts';

/** What a rule gives or takes, as bits; `deny` takes both. */
export const Rights = { read: 1, write: 2, deny: 4 } as const;

export interface TopicRule {
  /** A valid Topic Filter; in a pattern `%c` and `%u` stand for the client id and the user name. */
  readonly topicFilter: string;
  /** Of `Rights`. */
  readonly rights: number;
}

/** A level of a pattern, taken apart: text, and the names to put between. */
class VariableLevel {
  readonly text: string;
  readonly startsWithDollar: boolean;
  private readonly parts: readonly string[];

  constructor(text: string) {
    this.text = text;
    this.startsWithDollar = text.startsWith('$');
    this.parts = text.split(/(%[cu])/);
  }

  /**
   * Null where nothing can match: a name that is missing or empty, or one with a `/`, which would reach into levels
   * that are not the client's own.
   */
  resolve({ clientId, username }: ClientNames): string | null {
    let level = '';
    for (const part of this.parts) {
      if (part !== '%c' && part !== '%u') {
        level += part;
        continue;
      }
      const name = part === '%c' ? clientId : username;
      if (name === null || name === '' || name.includes('/')) return null;
      level += name;
    }
    return level;
  }
}

class RuleNode {
  /** Of rules that end here. */
  rights = 0;
  /** Of rules that end in `#` below. */
  restRights = 0;
  literals: Map<string, RuleNode> | null = null;
  plus: RuleNode | null = null;
  variables: { readonly level: VariableLevel; readonly node: RuleNode }[] = [];
}

/**
 * A set of rules. The order among them does not count: a topic is asked for the rights of all that match, and `deny`
 * is one of them.
 */
export class TopicRules {
  readonly rules: readonly TopicRule[];
  private readonly root = new RuleNode();
  private readonly hasVariables: boolean;

  /** @param hasVariables whether `%c` and `%u` are more than text */
  constructor(rules: readonly TopicRule[], hasVariables: boolean) {
    this.rules = rules;
    this.hasVariables = hasVariables;
    for (const rule of rules) this.add(rule);
  }

  private add({ topicFilter, rights }: TopicRule): void {
    let node = this.root;
    for (const level of topicFilter.split('/')) {
      if (level === '#') {
        node.restRights |= rights;
        return;
      }
      node = this.child(node, level);
    }
    node.rights |= rights;
  }

  private child(node: RuleNode, text: string): RuleNode {
    if (text === '+') return (node.plus ??= new RuleNode());
    if (this.hasVariables && /%[cu]/.test(text)) {
      let variable = node.variables.find(({ level }) => level.text === text);
      if (variable === undefined) {
        variable = { level: new VariableLevel(text), node: new RuleNode() };
        node.variables.push(variable);
      }
      return variable.node;
    }
    node.literals ??= new Map();
    let next = node.literals.get(text);
    if (next === undefined) {
      next = new RuleNode();
      node.literals.set(text, next);
    }
    return next;
  }

  /** The rights of all rules that match, as bits. Rules that begin with a wildcard or a name match no `$` topic. */
  rightsFor(topicName: string, client: ClientNames): number {
    const { root } = this;
    if (topicName.charCodeAt(0) !== DOLLAR) return collect(root, topicName, 0, client);
    const end = levelEnd(topicName, 0);
    const level = topicName.slice(0, end);
    const literal = root.literals?.get(level);
    let rights = literal === undefined ? 0 : collect(literal, topicName, end + 1, client);
    for (const variable of root.variables) {
      if (variable.level.startsWithDollar && variable.level.resolve(client) === level) {
        rights |= collect(variable.node, topicName, end + 1, client);
      }
    }
    return rights;
  }

  /**
   * The filter of a rule with the client's names in it, or null where it can match nothing. Its first level is what
   * `rightsFor` holds it to: a name never makes it a `$` filter.
   */
  private resolve(topicFilter: string, client: ClientNames): string | null {
    if (!this.hasVariables) return topicFilter;
    const levels: string[] = [];
    for (const text of topicFilter.split('/')) {
      const level = /%[cu]/.test(text) ? new VariableLevel(text).resolve(client) : text;
      if (level === null) return null;
      levels.push(level);
    }
    return levels[0]!.startsWith('$') && !topicFilter.startsWith('$') ? null : levels.join('/');
  }

  /** Whether one rule with all of these rights matches whatever the filter matches. */
  covers(topicFilter: string, rights: number, client: ClientNames): boolean {
    return this.rules.some((rule) => {
      if ((rule.rights & rights) !== rights) return false;
      const resolved = this.resolve(rule.topicFilter, client);
      return resolved !== null && filterCovers(resolved, topicFilter);
    });
  }

  /** Whether a rule with all of these rights matches anything that the filter matches. */
  overlaps(topicFilter: string, rights: number, client: ClientNames): boolean {
    return this.rules.some((rule) => {
      if ((rule.rights & rights) !== rights) return false;
      const resolved = this.resolve(rule.topicFilter, client);
      return resolved !== null && filtersOverlap(resolved, topicFilter);
    });
  }
}

const DOLLAR = 0x24;

function levelEnd(topicName: string, from: number): number {
  const slash = topicName.indexOf('/', from);
  return slash < 0 ? topicName.length : slash;
}

/** @param from where the next level begins; past the end when none is left */
function collect(node: RuleNode, topicName: string, from: number, client: ClientNames): number {
  let rights = node.restRights;
  if (from > topicName.length) return rights | node.rights;
  const end = levelEnd(topicName, from);
  const { literals, plus, variables } = node;
  if (plus !== null) rights |= collect(plus, topicName, end + 1, client);
  if (literals !== null || variables.length > 0) {
    const level = topicName.slice(from, end);
    const literal = literals?.get(level);
    if (literal !== undefined) rights |= collect(literal, topicName, end + 1, client);
    for (const variable of variables) {
      if (variable.level.resolve(client) === level) rights |= collect(variable.node, topicName, end + 1, client);
    }
  }
  return rights;
}

/** Of two filters, one that begins with a wildcard and one for `$` topics have nothing in common (v5 [MQTT-4.7.2-1]). */
function areApart(a: string, b: string): boolean {
  return (a.startsWith('$') && /^[+#]/.test(b)) || (b.startsWith('$') && /^[+#]/.test(a));
}

/** Whether all that matches `inner` matches `outer`. */
export function filterCovers(outer: string, inner: string): boolean {
  if (areApart(outer, inner)) return false;
  const outerLevels = outer.split('/');
  const innerLevels = inner.split('/');
  for (let i = 0; ; i++) {
    const o = outerLevels[i];
    const n = innerLevels[i];
    if (o === '#') return true;
    if (o === undefined || n === undefined) return o === n;
    if (n === '#' || (o !== '+' && o !== n)) return false;
  }
}

/** Whether some topic name may match both. */
export function filtersOverlap(a: string, b: string): boolean {
  if (areApart(a, b)) return false;
  const aLevels = a.split('/');
  const bLevels = b.split('/');
  for (let i = 0; ; i++) {
    const x = aLevels[i];
    const y = bLevels[i];
    if (x === '#' || y === '#') return true;
    if (x === undefined || y === undefined) return x === y;
    if (x !== '+' && y !== '+' && x !== y) return false;
  }
}
