// Subjects as user names, beside `openssl x509 -nameopt RFC2253`, which is what Mosquitto calls.
import { afterAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { openssl, TestFolder } from '../../../test/support/authority.ts';
import { Certificate } from './certificate.ts';
import { DerError } from './der.ts';
import { commonNameOf, formatDistinguishedName } from './distinguished-name.ts';
import { pemBlocks } from './pem.ts';

const folder = new TestFolder();
afterAll(() => folder.remove());
const key = folder.join('name.key');
openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key]);

function subjectOf(name: string, more: readonly string[] = []): { subject: Uint8Array; file: string } {
  const file = folder.join('name.pem');
  openssl(['req', '-x509', '-new', '-key', key, '-subj', name, '-days', '10', '-out', file, '-utf8', ...more]);
  const [block] = pemBlocks(readFileSync(file, 'latin1'));
  return { subject: new Certificate(block!.der!).subject, file };
}

describe('the whole subject', () => {
  test.each([
    ['one part', '/CN=device-7'],
    ['all that is usual', '/C=DE/ST=NRW/L=Bonn/O=Example/OU=Sensors/CN=device 7/emailAddress=a@b.example'],
    ['names from the directory', '/DC=example/DC=org/UID=7/SN=Doe/GN=Jo/title=Dr/serialNumber=12/street=Way 1'],
    ['what has to be escaped', '/O=a,b\\+c"d\\\\e<f>g;h=i#j/CN=#k'],
    ['blanks at the ends', '/O= two  blanks  /CN= '],
    ['letters beyond ASCII', '/O=Grüße/CN=设备\u{1f600}'],
    ['control characters', '/O=a\u0001b\u007fc\td/CN=x'],
    ['the same attribute twice', '/OU=a/OU=b/CN=c/CN=d'],
    ['an attribute without a short name', '/1.2.3.4.5=abc/CN=x'],
    ['a later attribute', '/organizationIdentifier=NTRDE-1/businessCategory=x/postalCode=53111/CN=x'],
  ])('with %s', (_what, name) => {
    const { subject, file } = subjectOf(name);
    const theirs = openssl(['x509', '-in', file, '-noout', '-subject', '-nameopt', 'RFC2253']);
    expect(`subject=${formatDistinguishedName(subject)}\n`).toBe(theirs);
  });

  test('with several attributes in one part', () => {
    const { subject, file } = subjectOf('/C=DE/O=Example/OU=x+L=Bonn+CN=y/CN=z', ['-multivalue-rdn']);
    const theirs = openssl(['x509', '-in', file, '-noout', '-subject', '-nameopt', 'RFC2253']);
    expect(`subject=${formatDistinguishedName(subject)}\n`).toBe(theirs);
    expect(theirs).toContain('+');
  });
});

/** `Name` with one Common Name of these bytes. */
function nameOf(tag: number, value: Uint8Array): Uint8Array {
  const element = (type: number, content: Uint8Array) => Buffer.concat([Uint8Array.of(type, content.length), content]);
  const type = Uint8Array.of(0x06, 3, 0x55, 4, 3);
  return element(0x30, element(0x31, element(0x30, Buffer.concat([type, element(tag, value)]))));
}

describe('strings of other types', () => {
  test.each([
    ['BMPString', 0x1e, Buffer.from('00c4004e', 'hex'), 'CN=\\C3\\84N'],
    ['UniversalString', 0x1c, Buffer.from('0001f600', 'hex'), 'CN=\\F0\\9F\\98\\80'],
    ['TeletexString, which counts as Latin-1', 0x14, Buffer.from('c4', 'hex'), 'CN=\\C3\\84'],
    ['a type that is no text', 0x02, Buffer.from('07', 'hex'), 'CN=#020107'],
    ['NUL', 0x0c, Buffer.from('610062', 'hex'), 'CN=a\\00b'],
  ])('%s', (_what, tag, value, text) => {
    const name = nameOf(tag, value);
    expect(formatDistinguishedName(name)).toBe(text);
  });

  test.each([
    ['half a character', 0x1e, Buffer.from('00c400', 'hex')],
    ['a surrogate', 0x1e, Buffer.from('d800', 'hex')],
    ['a number that is no character', 0x1c, Buffer.from('00110000', 'hex')],
  ])('with %s are refused', (_what, tag, value) => {
    expect(() => formatDistinguishedName(nameOf(tag, value))).toThrow(DerError);
  });
});

describe('the Common Name', () => {
  test('is the first one', () => {
    expect(commonNameOf(subjectOf('/O=x/CN=first/CN=second').subject)).toBe('first');
    expect(commonNameOf(subjectOf('/CN=Gerät 设').subject)).toBe('Gerät 设');
  });

  test.each([
    ['absent', subjectOf('/O=x').subject],
    ['empty', nameOf(0x0c, new Uint8Array(0))],
    ['with NUL', nameOf(0x0c, Buffer.from('admin\0.example'))],
    ['with a control character', nameOf(0x0c, Buffer.from('a\nb'))],
    ['with a control character beyond ASCII', nameOf(0x0c, Buffer.from('a\u0085b'))],
    ['not UTF-8', nameOf(0x14, Buffer.from('c4', 'hex'))],
    ['in characters of two bytes', nameOf(0x1e, Buffer.from('0061', 'hex'))],
  ])('is no user name where it is %s', (_what, name) => {
    expect(commonNameOf(name)).toBeNull();
  });
});
