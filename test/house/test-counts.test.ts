import { describe, expect, test } from 'bun:test';
import { countTests, slowFiles } from '../../scripts/test-counts.ts';

const report = [
  '<?xml version="1.0" encoding="UTF-8"?>',
  '<testsuites name="bun test" tests="8" assertions="4" failures="3" skipped="2" time="61.5">',
  '  <testsuite name="src/a.test.ts" file="src/a.test.ts" tests="4" failures="1" skipped="2" time="21.5" hostname="h">',
  '    <testsuite name="inner" file="src/a.test.ts" tests="4" failures="1" skipped="2" time="99" hostname="h">',
  '    </testsuite>',
  '  </testsuite>',
  '  <testsuite name="test/b.test.ts" file="test/b.test.ts" tests="4" failures="2" skipped="0" time="40" hostname="h">',
  '  </testsuite>',
  '</testsuites>',
].join('\n');

describe('counting the tests of a run', () => {
  test('reads the summary on the console', () => {
    const output = '(pass) x\n\n 12 pass\n 3 skip\n 1 todo\n 0 fail\nRan 16 tests across 2 files. [1.00s]\n';
    expect(countTests({ output, report: null, exitCode: 0 })).toEqual({ passed: 12, failed: 0, skipped: 4 });
  });

  test('believes the summary at the end, not a test that prints one', () => {
    const output = ' 99 pass\n 99 fail\n\n 2 pass\n 1 fail\nRan 3 tests across 1 file. [1.00s]\n';
    expect(countTests({ output, report: null, exitCode: 1 })).toEqual({ passed: 2, failed: 1, skipped: 0 });
  });

  test('counts a file that could not be loaded, which the report leaves out', () => {
    const output = ' 3 pass\n 1 skip\n 1 todo\n 4 fail\n 1 error\n';
    expect(countTests({ output, report, exitCode: 1 })).toEqual({ passed: 3, failed: 4, skipped: 2 });
  });

  test('reads the report when the summary is missing', () => {
    expect(countTests({ output: '', report, exitCode: 1 })).toEqual({ passed: 3, failed: 3, skipped: 2 });
  });

  test.each([
    ['died without a word', { output: '', report: null, exitCode: 137 }, 0],
    ['ran no test', { output: 'The following filters did not match any test files', report: null, exitCode: 1 }, 0],
    ['ran no test and calls that success', { output: ' 0 pass\n 0 fail\n', report: null, exitCode: 0 }, 0],
    ['passed all and left with an error', { output: ' 5 pass\n 0 fail\n', report: null, exitCode: 1 }, 5],
  ])('counts one failed when the run %s', (_, run, passed) => {
    expect(countTests(run)).toMatchObject({ passed, failed: 1 });
  });
});

test('names the slow files, slowest first', () => {
  expect(slowFiles(report, 20)).toEqual([
    { file: 'test/b.test.ts', seconds: 40 },
    { file: 'src/a.test.ts', seconds: 21.5 },
  ]);
  expect(slowFiles(report, 30)).toHaveLength(1);
});
