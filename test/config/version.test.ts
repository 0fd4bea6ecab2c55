import { expect, test } from 'bun:test';
import packageJson from '../../package.json' with { type: 'json' };
import { VERSION } from '../../src/config/version.ts';

test('the version of the program is that of the package', () => {
  expect(VERSION).toBe(packageJson.version);
});
