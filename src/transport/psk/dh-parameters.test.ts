import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dhParameters } from '../../../test/psk/dh-pem.ts';
import { CertificateError } from '../listener.ts';
import { readDhParameters } from './dh-parameters.ts';

const folder = mkdtempSync(join(tmpdir(), 'martlet-dh-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'dh.pem');
const read = (text: string) => {
  writeFileSync(path, text);
  return readDhParameters(path);
};
const pem = dhParameters('modp14');

test('parameters are read, also from among other things', () => {
  expect(read(pem)).toBe(pem);
  expect(read(`-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${pem}# end\n`)).toBe(pem);
});

test.each([
  ['nothing', '', 'it holds no DH parameters in PEM.'],
  [
    'a certificate',
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    'it holds no DH parameters in PEM.',
  ],
  ['no DER', pem.replace(/MII.{40}/, 'x'), 'it holds no DH parameters in PEM.'],
  ['a cut one', pem.replace(/\n.{64}\n/, '\n'), 'it holds no DH parameters in PEM.'],
  [
    'a prime that is too short',
    dhParameters({ primeBytes: 96 }),
    'a prime of 768 bits is too short, expected 1024 or more.',
  ],
])('a file with %s is refused', (_what, text, cause) => {
  expect(() => read(text)).toThrow(CertificateError);
  expect(() => read(text)).toThrow(`Unable to load dhparamfile "${path}": ${cause}`);
});

test('a file that is not there is refused', () => {
  expect(() => readDhParameters(join(folder, 'missing'))).toThrow(/^Unable to load dhparamfile ".*missing": /);
});
