/** Tables, the comparison with the targets of the flows, and JSON lines. */
import { metricLabels, type Flow, type Goal, type Metric } from './flow.ts';
import type { RunRecord } from './run.ts';

/** The broker that the goals are about, and the one that ratios compare with. */
const subject = 'martlet';
const reference = 'mosquitto';

export interface Summary {
  flow: string;
  variant: string;
  target: string;
  version: string;
  /** The median over complete rounds, each metric by itself. */
  metrics: Partial<Record<Metric, number>>;
  deliveries: number;
  complete: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** One for each variant and target, in the order of first appearance; incomplete where no round was complete. */
export function summarize(records: readonly RunRecord[]): Summary[] {
  const groups = Map.groupBy(records, (record) => `${record.variant}\n${record.target}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const good = group.filter((record) => record.complete);
    const metrics: Partial<Record<Metric, number>> = {};
    for (const metric of Object.keys(metricLabels) as Metric[]) {
      const values = good.flatMap((record) => record.metrics[metric] ?? []);
      if (values.length > 0) metrics[metric] = median(values);
    }
    const { flow, variant, target, version } = first;
    const deliveries = good.length === 0 ? 0 : median(good.map((record) => record.deliveries));
    return [{ flow, variant, target, version, metrics, deliveries, complete: good.length === group.length }];
  });
}

export interface Verdict {
  text: string;
  /** Null where it cannot be said: a broker is missing or gave no complete run. */
  met: boolean | null;
}

/** Below one it is what people say: "1/24" of the other. */
export function formatRatio(ratio: number): string {
  if (ratio <= 0 || !Number.isFinite(ratio)) return 'n/a';
  const short = (value: number): string => String(Number(value.toPrecision(3)));
  return ratio < 0.75 ? `1/${short(1 / ratio)}` : short(ratio);
}

export function judge(goal: Goal, summaries: readonly Summary[]): Verdict {
  const valueOf = (target: string): number | undefined =>
    summaries.find((summary) => summary.target === target && summary.variant === goal.variant)?.metrics[goal.metric];
  const mine = valueOf(subject);
  const label = `${goal.variant === '' ? '' : `${goal.variant} `}${metricLabels[goal.metric]}`;
  const verdict = (wanted: string, got: string, met: boolean): Verdict => ({
    text: `${label}: target ${wanted}, got ${got} ${met ? 'ok' : 'MISSED'}`,
    met,
  });
  switch (goal.kind) {
    case 'ratioAtMost': {
      const wanted = `<= ${formatRatio(goal.limit)} of ${reference}`;
      const other = valueOf(reference);
      if (mine === undefined || other === undefined)
        return { text: `${label}: target ${wanted}, not measured`, met: null };
      return verdict(wanted, formatRatio(mine / other), mine / other <= goal.limit);
    }
    case 'atMost':
    case 'atLeast': {
      const wanted = `${goal.kind === 'atMost' ? '<=' : '>='} ${trimNumber(goal.limit)}`;
      if (mine === undefined) return { text: `${label}: target ${wanted}, not measured`, met: null };
      return verdict(wanted, trimNumber(mine), goal.kind === 'atMost' ? mine <= goal.limit : mine >= goal.limit);
    }
  }
}

/** Three significant digits and no exponent. */
export function trimNumber(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  const size = Math.abs(value);
  if (size >= 100) return String(Math.round(value));
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(size >= 1 ? 2 : 3);
}

/** Ratio of the subject to the reference for each metric where one makes sense. */
const ratioMetrics: ReadonlySet<Metric> = new Set<Metric>([
  'rate',
  'cpuPerDeliveryUs',
  'cpuPerConnectUs',
  'connectsPerCore',
  'p50',
  'p99',
  'p999',
  'rssPerConnectionBytes',
]);

function rows(flow: Flow, records: readonly RunRecord[], rounds: number): string[][] {
  const summaries = summarize(records);
  const variants = [...new Set(records.map((record) => record.variant))];
  const cells = (metrics: Partial<Record<Metric, number>>): string[] =>
    flow.columns.map((metric) => {
      const value = metrics[metric];
      return value === undefined ? '-' : trimNumber(value);
    });
  const name = (target: string, variant: string): string => (variant === '' ? target : `${target} ${variant}`);
  const table = [['broker', 'round', ...flow.columns.map((metric) => metricLabels[metric]), 'counted', 'state']];
  for (const variant of variants) {
    const mine = summaries.filter((summary) => summary.variant === variant);
    for (const summary of mine) {
      const own = records.filter((record) => record.variant === variant && record.target === summary.target);
      for (const record of own) {
        const state = record.complete ? 'complete' : `INCOMPLETE (${record.expected})`;
        const round = String(record.round);
        table.push([name(record.target, variant), round, ...cells(record.metrics), String(record.deliveries), state]);
      }
      if (rounds > 1) {
        const state = summary.complete ? '' : 'INCOMPLETE';
        table.push([name(summary.target, variant), 'median', ...cells(summary.metrics), '', state]);
      }
    }
    const subjectMetrics = mine.find((summary) => summary.target === subject)?.metrics;
    const referenceMetrics = mine.find((summary) => summary.target === reference)?.metrics;
    if (subjectMetrics !== undefined && referenceMetrics !== undefined) {
      const ratios = flow.columns.map((metric) => {
        const a = subjectMetrics[metric];
        const b = referenceMetrics[metric];
        return ratioMetrics.has(metric) && a !== undefined && b !== undefined ? formatRatio(a / b) : '';
      });
      table.push([name('ratio', variant), '', ...ratios, '', '']);
    }
  }
  return table;
}

function notesOf(records: readonly RunRecord[]): string[] {
  return records.flatMap((record) =>
    record.notes.map(
      (note) => `${record.target}${record.variant === '' ? '' : ` ${record.variant}`} round ${record.round}: ${note}`,
    ),
  );
}

/** Text columns to the left, figures to the right. */
export function alignTable(table: readonly (readonly string[])[]): string[] {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  const textColumns = new Set([0, widths.length - 1]);
  return table.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return textColumns.has(column) ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

export function textReport(flow: Flow, records: readonly RunRecord[], rounds: number, short: boolean): string {
  const verdicts = flow.goals.map((goal) => judge(goal, summarize(records)).text);
  return [
    `${flow.name}: ${flow.describe(short)}`,
    ...alignTable(rows(flow, records, rounds)).map((line) => `  ${line}`),
    ...verdicts.map((line) => `  ${line}`),
    ...notesOf(records).map((line) => `  note: ${line}`),
    '',
  ].join('\n');
}

export function markdownReport(flow: Flow, records: readonly RunRecord[], rounds: number, short: boolean): string {
  const [head = [], ...body] = rows(flow, records, rounds);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const verdicts = flow.goals.map((goal) => judge(goal, summarize(records)).text);
  return [
    `### ${flow.name}`,
    '',
    `${flow.describe(short)}.`,
    '',
    line(head),
    line(head.map((_, column) => (column === 0 ? '---' : '---:'))),
    ...body.map(line),
    '',
    ...verdicts.map((text) => `- ${text}`),
    ...notesOf(records).map((text) => `- note: ${text}`),
    '',
  ].join('\n');
}

export interface RunIdentity {
  commit: string;
  bun: string;
  cpu: string;
  command: string;
  short: boolean;
}

/** One line a record, and one with round "median" for each flow, variant and target. Absent figures are null. */
export function jsonLines(identity: RunIdentity, records: readonly RunRecord[]): string {
  const line = (source: RunRecord | Summary, round: number | 'median'): string => {
    const { rate, p50, p99, p999, cpuPerDeliveryUs, rssPerConnectionBytes, ...others } = source.metrics;
    const { commit, bun, cpu, command, short } = identity;
    return JSON.stringify({
      commit,
      bun,
      cpu,
      flow: source.flow,
      variant: source.variant,
      target: source.target,
      version: source.version,
      command,
      short,
      round,
      rate: rate ?? null,
      p50: p50 ?? null,
      p99: p99 ?? null,
      p999: p999 ?? null,
      cpuPerDeliveryUs: cpuPerDeliveryUs ?? null,
      rssPerConnectionBytes: rssPerConnectionBytes ?? null,
      deliveries: source.deliveries,
      complete: source.complete,
      ...others,
      ...('notes' in source ? { expected: source.expected, notes: source.notes } : {}),
    });
  };
  const byFlow = Map.groupBy(records, (record) => record.flow);
  const medians = [...byFlow.values()].flatMap((group) => summarize(group));
  return [
    ...records.map((record) => line(record, record.round)),
    ...medians.map((summary) => line(summary, 'median')),
    '',
  ].join('\n');
}
