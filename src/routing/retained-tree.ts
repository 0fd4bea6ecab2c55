/** Retained messages by Topic Name (v5 section 3.3.1.3), found by Topic Filter without walking all of them. */

class RetainedNode<M> {
  readonly parent: RetainedNode<M> | null;
  readonly level: string;
  children: Map<string, RetainedNode<M>> | null = null;
  message: M | null = null;

  constructor(parent: RetainedNode<M> | null, level: string) {
    this.parent = parent;
    this.level = level;
  }
}

/** A place in a search: a node and the index of the filter level that is to match its children. */
interface Step<M> {
  readonly node: RetainedNode<M>;
  readonly level: number;
}

export class RetainedTree<M> {
  private readonly root = new RetainedNode<M>(null, '');
  count = 0;

  get(topicName: string): M | null {
    let node: RetainedNode<M> | undefined = this.root;
    for (const level of topicName.split('/')) {
      node = node.children?.get(level);
      if (node === undefined) return null;
    }
    return node.message;
  }

  /** Replaces what is retained for the topic; returns the message that was there. */
  set(topicName: string, message: M): M | null {
    let node = this.root;
    for (const level of topicName.split('/')) {
      node.children ??= new Map();
      let child = node.children.get(level);
      if (child === undefined) {
        child = new RetainedNode<M>(node, level);
        node.children.set(level, child);
      }
      node = child;
    }
    const old = node.message;
    node.message = message;
    if (old === null) this.count++;
    return old;
  }

  delete(topicName: string): M | null {
    let node: RetainedNode<M> | undefined = this.root;
    for (const level of topicName.split('/')) {
      node = node.children?.get(level);
      if (node === undefined) return null;
    }
    const old = node.message;
    if (old === null) return null;
    node.message = null;
    this.count--;
    let empty: RetainedNode<M> = node;
    while (empty.message === null && empty.children === null && empty.parent !== null) {
      const { parent } = empty;
      parent.children!.delete(empty.level);
      if (parent.children!.size === 0) parent.children = null;
      empty = parent;
    }
    return old;
  }

  /** A search that hands out its matches in slices, so that `#` over a million topics does not stop the loop. */
  search(topicFilter: string): RetainedSearch<M> {
    return new RetainedSearch(this.root, topicFilter);
  }

  /** A search for everything, names that begin with `$` included. */
  all(): RetainedSearch<M> {
    return new RetainedSearch(this.root, '#', true);
  }
}

export class RetainedSearch<M> {
  private readonly levels: string[];
  private readonly steps: Step<M>[];
  private pendingChildren: Iterator<RetainedNode<M>> | null = null;
  private pendingLevel = 0;
  private readonly includesDollar: boolean;

  constructor(root: RetainedNode<M>, topicFilter: string, includesDollar = false) {
    this.includesDollar = includesDollar;
    this.levels = topicFilter.split('/');
    this.steps = [{ node: root, level: 0 }];
  }

  /** Appends up to `most` matches to `found`, visiting at most 16 nodes for each; true when the search is over. */
  next(most: number, found: M[]): boolean {
    let budget = most * 16;
    let left = most;
    while (left > 0 && budget-- > 0) {
      if (this.pendingChildren !== null) {
        const { done, value } = this.pendingChildren.next();
        if (done === true) this.pendingChildren = null;
        else left -= this.visit(value, this.pendingLevel, found);
        continue;
      }
      const step = this.steps.pop();
      if (step === undefined) return true;
      left -= this.expand(step, found);
    }
    return this.steps.length === 0 && this.pendingChildren === null;
  }

  private expand({ node, level }: Step<M>, found: M[]): number {
    const { children } = node;
    if (children === null) return 0;
    const wanted = this.levels[level]!;
    if (wanted !== '+' && wanted !== '#') {
      const child = children.get(wanted);
      return child === undefined ? 0 : this.visit(child, level, found);
    }
    this.pendingChildren = children.values();
    this.pendingLevel = level;
    return 0;
  }

  /**
   * The filter level `level` is to match `child`. A filter that begins with a wildcard does not match names that begin
   * with `$` (v5 [MQTT-4.7.2-1]); `#` stays at its filter level on the way down.
   */
  private visit(child: RetainedNode<M>, level: number, found: M[]): number {
    const wanted = this.levels[level]!;
    const isFirst = level === 0 && child.parent!.parent === null;
    if (isFirst && !this.includesDollar && (wanted === '+' || wanted === '#') && child.level[0] === '$') return 0;
    if (wanted === '#') {
      if (child.children !== null) this.steps.push({ node: child, level });
      return this.take(child, found);
    }
    const last = level + 1 === this.levels.length;
    if (last) return this.take(child, found);
    this.steps.push({ node: child, level: level + 1 });
    // `a/#` matches `a` itself.
    return this.levels[level + 1] === '#' ? this.take(child, found) : 0;
  }

  private take(node: RetainedNode<M>, found: M[]): number {
    if (node.message === null) return 0;
    found.push(node.message);
    return 1;
  }
}
