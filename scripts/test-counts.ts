// Reads how many tests a `bun test` run passed and failed. Two sources, since each misses something: the summary on the
// console is not printed when the run dies, and the JUnit report does not count files that could not be loaded.

export type TestCounts = { passed: number; failed: number; skipped: number };

/** `report` is the JUnit XML, null when the run left none. A run that died or ran nothing counts as one failed test. */
export function countTests(run: { output: string; report: string | null; exitCode: number }): TestCounts {
  const summary = {
    passed: lastNumber(run.output, 'pass'),
    failed: lastNumber(run.output, 'fail'),
    skipped: (lastNumber(run.output, 'skip') ?? 0) + (lastNumber(run.output, 'todo') ?? 0),
  };
  const reported = readReport(run.report ?? '');
  const counts: TestCounts = {
    passed: summary.passed ?? reported?.passed ?? 0,
    failed: Math.max(summary.failed ?? 0, reported?.failed ?? 0),
    skipped: Math.max(summary.skipped, reported?.skipped ?? 0),
  };
  const ranNothing = counts.passed === 0;
  if (counts.failed === 0 && (run.exitCode !== 0 || ranNothing)) counts.failed = 1;
  return counts;
}

/** The summary's lines look like ` 12 pass`. A test may print such a line too; the summary is the last to do so. */
function lastNumber(output: string, word: string): number | null {
  const last = [...output.matchAll(new RegExp(`^ *(\\d+) ${word}$`, 'gm'))].at(-1)?.[1];
  return last === undefined ? null : Number(last);
}

function readReport(report: string): TestCounts | null {
  const head = /<testsuites\b[^>]*>/.exec(report)?.[0];
  if (head === undefined) return null;
  const attribute = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = attribute('failures');
  const skipped = attribute('skipped');
  return { passed: attribute('tests') - failed - skipped, failed, skipped };
}

/** Test files that took longer than `overSeconds`, slowest first. */
export function slowFiles(report: string, overSeconds: number): { file: string; seconds: number }[] {
  const files = [];
  for (const [suite] of report.matchAll(/^ {2}<testsuite\b[^>]*>/gm)) {
    const file = /\bfile="([^"]*)"/.exec(suite)?.[1];
    const seconds = Number(/\btime="([\d.]+)"/.exec(suite)?.[1] ?? 0);
    if (file !== undefined && seconds > overSeconds) files.push({ file, seconds });
  }
  return files.sort((a, b) => b.seconds - a.seconds);
}
