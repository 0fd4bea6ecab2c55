// What the texts of `martlet db` are made of.
import { formatDuration } from '../http/format.ts';

const NEVER = 0xffff_ffff;

/** `2026-11-24 18:07:22 UTC`. */
export function formatTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** How long something took: `0.3 s`, `42 s`, `1 min 5 s`. */
export function formatElapsed(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms / 1000);
}

/** A Session Expiry Interval. */
export function formatExpiry(seconds: number): string {
  return seconds === NEVER ? 'never' : `after ${formatDuration(seconds)}`;
}

/** A text of a client as one line, whatever it holds: what would steer a terminal is written as `\x1b`. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the very characters that must not reach a terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

export interface Heading {
  readonly title: string;
  readonly isNumber?: boolean;
}

/** Aligned columns under their titles, numbers to the right; lines end without blanks. */
export function formatTable(headings: readonly Heading[], rows: readonly (readonly string[])[]): string {
  const lines = [headings.map(({ title }) => title), ...rows];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => width(line[column]!))));
  return lines
    .map((line) =>
      line
        .map((cell, column) => {
          const blanks = ' '.repeat(widths[column]! - width(cell));
          return headings[column]!.isNumber === true ? blanks + cell : cell + blanks;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Names and values, the values of one column aligned. */
export function formatFacts(facts: readonly (readonly [name: string, value: string])[]): string {
  const most = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(most)}  ${value}`.trimEnd()).join('\n');
}

function width(text: string): number {
  return Bun.stringWidth(text);
}
