import type { Option } from './option.ts';
import { optionGroups } from './option-table.ts';

/** The options as tables in Markdown, for docs/configuration.md. */
export function optionTables(): string {
  return optionGroups.map(({ title, options }) => `### ${title}\n\n${markdownTable(options.map(cells))}`).join('\n\n');
}

function cells(option: Option): readonly string[] {
  return [
    `\`${option.name}\``,
    `\`${option.placeholder.replaceAll('|', '\\|')}\``,
    option.default,
    remarksOf(option).join(' '),
  ];
}

/** The summary, and what else there is to know. */
export function remarksOf(option: Option): string[] {
  return [
    option.summary,
    ...(option.isRepeatable ? ['May be given several times.'] : []),
    ...(option.aliases.length > 0 ? [`Also called ${option.aliases.map((name) => `\`${name}\``).join(', ')}.`] : []),
    ...(option.isOurs ? ['Not an option of Mosquitto.'] : []),
  ];
}

const head = ['option', 'value', 'default', 'meaning'];

/** Columns padded to their width, as the formatter of this project leaves them. */
function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
}
