/** Logs of two brokers in a form in which they can be compared. */

/** Lines of one step by the client that they are about, in their order. */
export type StepLines = ReadonlyMap<string, readonly string[]>;

/** Connections that have no client identifier yet. */
const NOBODY = 'nobody';
/** Publishes to `mark/N` where step N ends. */
export const MARKER = 'marker';

/** Where a line names its client. */
const subjects = [
  /^(?:Received|Denied|Dropped too large) \S+ from (\S+)/,
  /^Sending \S+ to (\S+)/,
  /^New (?:client|bridge) connected from \S+ as (\S+)/,
  /^New connection from (\S+)/,
  /^Client (?:connection )?from (\S+)/,
  /^Client (\S+) /,
  /^Dropping too large outgoing PUBLISH for (\S+)/,
  /^Outgoing messages are being dropped for client (\S+?)\.$/,
  /^Protocol error from (\S+?): /,
  /^Bad client (\S+) /,
  /^(\S+) [012] \S+$/,
  /^(\S+) [^ ]+$/,
];

/** Without times and ports; identifiers that a broker made up are alike. */
export function normalise(line: string): string {
  return line
    .replace(/^\d{10}: /, '')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDR')
    .replaceAll('127.0.0.1', 'HOST')
    .replaceAll(/on port \d+\./g, 'on port PORT.')
    .replaceAll(/auto-[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}/g, 'auto-ID');
}

function subjectOf(line: string): string | null {
  for (const pattern of subjects) {
    const name = pattern.exec(line)?.[1];
    if (name !== undefined) return /^(?:ADDR|HOST)$/.test(name) ? NOBODY : name;
  }
  return null;
}

/**
 * Cuts what a broker logged from the first step on, at the marks, and each step into clients: lines of different clients
 * may come in any order. A line that names nobody belongs to the client of the line before.
 *
 * @param rewrite what becomes of a normalised line; null: it is left out
 */
export function cut(text: string, rewrite: (line: string) => string | null): StepLines[] {
  const steps: StepLines[] = [];
  let step: Map<string, string[]> | null = null;
  let subject = NOBODY;
  for (const raw of text.split('\n')) {
    const line = rewrite(normalise(raw));
    if (line === null) continue;
    subject = subjectOf(line) ?? subject;
    if (line.startsWith(`Received PUBLISH from ${MARKER} `)) {
      if (step !== null) steps.push(step);
      step = new Map();
    }
    if (step === null || subject === MARKER) continue;
    step.set(subject, [...(step.get(subject) ?? []), line]);
  }
  return steps;
}
