export type MetricType = 'counter' | 'gauge' | 'histogram';

/** The media type of what `Exposition` writes. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Writes metrics in Prometheus' text format, version 0.0.4: a family at a time, HELP and TYPE before its samples. */
export class Exposition {
  private readonly lines: string[] = [];

  /** A family of one sample without labels. */
  single(name: string, type: MetricType, help: string, value: number): void {
    this.family(name, type, help);
    this.sample(name, {}, value);
  }

  /** Begins a family; its samples follow. */
  family(name: string, type: MetricType, help: string): void {
    const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    this.lines.push(`# HELP ${name} ${escaped}`, `# TYPE ${name} ${type}`);
  }

  sample(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabelValue(text)}"`);
    this.lines.push(`${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${formatValue(value)}`);
  }

  /**
   * A whole histogram.
   *
   * @param buckets observations by bucket, not cumulative: one for each bound, and one for what is above
   */
  histogram(name: string, help: string, bounds: readonly number[], buckets: readonly number[], sum: number): void {
    this.family(name, 'histogram', help);
    let count = 0;
    for (const [i, bound] of [...bounds, Number.POSITIVE_INFINITY].entries()) {
      count += buckets[i] ?? 0;
      this.sample(`${name}_bucket`, { le: formatValue(bound) }, count);
    }
    this.sample(`${name}_sum`, {}, sum);
    this.sample(`${name}_count`, {}, count);
  }

  toString(): string {
    return `${this.lines.join('\n')}\n`;
  }
}

function escapeLabelValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
