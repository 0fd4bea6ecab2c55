import { remarksOf } from '../config/option-docs.ts';
import { optionGroups } from '../config/option-table.ts';
import { formatRows } from './arguments.ts';

/** The options of the configuration file, for a terminal. */
export function configHelp(): string {
  const groups = optionGroups.map(({ title, options }) => {
    const rows = options.map((option) => {
      const remarks = `${remarksOf(option).join(' ')} [${option.default}]`.replaceAll('`', '');
      return [`${option.name} ${option.placeholder}`, remarks] as const;
    });
    return `${title}\n\n${narrowRows(rows)}`;
  });
  return [
    'A configuration file has one option a line, its name first; # in the first column begins a comment.\n' +
      "Options of a listener belong to the 'listener' above them. Defaults stand in brackets.",
    ...groups,
  ].join('\n\n');
}

const MOST_LEFT = 34;

/** Left sides that are longer than most get a line of their own, so that one of them does not push all others aside. */
function narrowRows(rows: readonly (readonly [string, string])[]): string {
  return rows
    .map(([left, right]) => {
      if (left.length <= MOST_LEFT) return formatRows([[left.padEnd(MOST_LEFT), right]]);
      return `  ${left}\n${formatRows([[' '.repeat(MOST_LEFT), right]])}`;
    })
    .join('\n');
}
