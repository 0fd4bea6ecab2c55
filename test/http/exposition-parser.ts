// Reads Prometheus' text format 0.0.4, and refuses whatever the format, or good practice in naming, does not allow.

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const VALUE = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/;
const SAMPLE = /^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)$/;
const LABEL = /^(?<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?<value>(?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/;

/** @throws Error that tells the line and what is wrong with it */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no line feed');
  const families = new Map<string, Family>();
  let current: Family | null = null;
  let help: { name: string; text: string } | null = null;
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (!NAME.test(name)) fail(line, 'not a metric name');
      if (families.has(name)) fail(line, 'second time for this family');
      if (kind === 'HELP') {
        if (help !== null) fail(line, `HELP of ${help.name} has no TYPE`);
        help = { name, text: unescapeHelp(line, rest) };
        continue;
      }
      if (help?.name !== name) fail(line, 'no HELP before it');
      if (!TYPES.includes(rest)) fail(line, 'unknown type');
      current = { name, type: rest, help: help?.text ?? '', samples: [] };
      help = null;
      families.set(name, current);
      continue;
    }
    if (help !== null) fail(line, `HELP of ${help.name} has no TYPE`);
    const sample = parseSample(line);
    if (current === null || !belongsTo(sample, current)) fail(line, 'does not belong to the family before it');
    current!.samples.push(sample);
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

/** The value of the sample with exactly these labels. */
export function valueOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number {
  const wanted = keyOf(new Map(Object.entries(labels)));
  const found = families.get(name)?.samples.find((sample) => sample.name === name && keyOf(sample.labels) === wanted);
  if (found === undefined) throw new Error(`no sample ${name} ${JSON.stringify(labels)}`);
  return found.value;
}

function parseSample(line: string): Sample {
  const groups = SAMPLE.exec(line)?.groups;
  const name = groups?.['name'];
  const value = groups?.['value'];
  if (name === undefined || value === undefined) return fail(line, 'no comment and no sample');
  if (!VALUE.test(value)) fail(line, 'not a number');
  const labels = new Map<string, string>();
  let rest = groups?.['labels'] ?? '';
  if (line.includes('{}') || rest.endsWith(',')) fail(line, 'empty label');
  while (rest !== '') {
    const match = LABEL.exec(rest);
    const label = match?.groups?.['name'];
    if (match === null || label === undefined) return fail(line, 'broken label');
    if (label.startsWith('__') || labels.has(label)) fail(line, `label ${label} is reserved or repeated`);
    labels.set(label, unescapeValue(match.groups?.['value'] ?? ''));
    rest = rest.slice(match[0].length);
  }
  return { name, labels, value: parseValue(value) };
}

function parseValue(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  return text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text);
}

function unescapeHelp(line: string, text: string): string {
  if (/\\(?![\\n])/.test(text.replaceAll('\\\\', ''))) fail(line, 'unknown escape');
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

function unescapeValue(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

function belongsTo(sample: Sample, family: Family): boolean {
  if (family.type !== 'histogram') return sample.name === family.name;
  return ['_bucket', '_sum', '_count'].some((suffix) => sample.name === family.name + suffix);
}

function checkFamily(family: Family): void {
  const { name, type, samples } = family;
  if ((type === 'counter') !== name.endsWith('_total')) fail(name, 'counters, and only they, end in _total');
  if (/_(ms|millis|milliseconds|minutes|kb|kilobytes|percent)(_|$)/.test(name)) fail(name, 'not in base units');
  const keys = samples.map((sample) => `${sample.name}{${keyOf(sample.labels)}}`);
  if (new Set(keys).size !== keys.length) fail(name, 'the same sample twice');
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) fail(name, 'a counter below zero');
  if (type === 'histogram') checkHistogram(family);
}

function checkHistogram({ name, samples }: Family): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => parseValue(labels.get('le') ?? 'NaN'));
  const counts = buckets.map(({ value }) => value);
  const rises = (values: number[], strictly: boolean): boolean =>
    values.every((value, i) => i === 0 || (strictly ? value > values[i - 1]! : value >= values[i - 1]!));
  if (bounds.at(-1) !== Number.POSITIVE_INFINITY || !rises(bounds, true)) fail(name, 'buckets out of order');
  if (!rises(counts, false)) fail(name, 'buckets are not cumulative');
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value;
  if (count !== counts.at(-1)) fail(name, 'the last bucket is not the count');
  if (!samples.some((sample) => sample.name === `${name}_sum`)) fail(name, 'no sum');
}

function keyOf(labels: ReadonlyMap<string, string>): string {
  return JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function fail(where: string, cause: string): never {
  throw new Error(`${cause}: ${where}`);
}
