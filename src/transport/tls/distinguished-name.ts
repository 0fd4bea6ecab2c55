// The subject of a certificate as a user name: `use_identity_as_username` takes its Common Name, and
// `use_subject_as_username` all of it, in the form that OpenSSL calls XN_FLAG_RFC2253 and Mosquitto uses.
import { Oid } from './certificate.ts';
import { DerElement, DerError, DerTag, parseDer } from './der.ts';

interface Attribute {
  readonly type: string;
  readonly value: DerElement;
  /** Belongs to the same RelativeDistinguishedName as the one before it. */
  readonly isJoined: boolean;
}

/** Attributes of a `Name` in the order of the certificate. */
function attributesOf(name: Uint8Array): Attribute[] {
  const all: Attribute[] = [];
  for (const set of parseDer(name).expect(DerTag.sequence).children()) {
    for (const [index, one] of set.expect(DerTag.set).children().entries()) {
      const [type, value, ...more] = one.expect(DerTag.sequence).children();
      if (value === undefined || more.length > 0) throw new DerError('a malformed name');
      all.push({ type: type!.objectIdentifier(), value, isJoined: index > 0 });
    }
  }
  return all;
}

/**
 * The first Common Name, its bytes taken for UTF-8 whatever their type says. Null where there is none that could be a
 * user name: absent, empty, not UTF-8, or with control characters, NUL among them.
 *
 * @param name `Name` in DER
 * @throws DerError
 */
export function commonNameOf(name: Uint8Array): string | null {
  const attribute = attributesOf(name).find(({ type }) => type === Oid.commonName);
  if (attribute === undefined) return null;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(attribute.value.content);
  } catch {
    return null;
  }
  return text === '' || /[\u0000-\u001f\u007f-\u009f]/.test(text) ? null : text;
}

/**
 * RFC 2253 as OpenSSL writes it: the last part first, `CN=device 7,OU=Sensors+L=Bonn,O=Example,C=DE`. What is not
 * printable ASCII is escaped byte by byte (`\C3\A4`), so the text is always a possible user name.
 *
 * @param name `Name` in DER
 * @throws DerError
 */
export function formatDistinguishedName(name: Uint8Array): string {
  let text = '';
  let separator = '';
  for (const { type, value, isJoined } of attributesOf(name).reverse()) {
    const shortName = SHORT_NAMES.get(type);
    text += `${separator}${shortName ?? type}=${formatValue(value, shortName !== undefined)}`;
    separator = isJoined ? '+' : ',';
  }
  return text;
}

/** Widths of the characters of string types, in bytes; 0 for UTF-8. Values of other types are shown as DER. */
const CHARACTER_BYTES: ReadonlyMap<number, number> = new Map([
  [0x0c, 0], // UTF8String
  [0x12, 1], // NumericString
  [0x13, 1], // PrintableString
  [0x14, 1], // TeletexString
  [0x16, 1], // IA5String
  [0x17, 1], // UTCTime
  [0x18, 1], // GeneralizedTime
  [0x1a, 1], // VisibleString
  [0x1c, 4], // UniversalString
  [0x1e, 2], // BMPString
]);

function formatValue(value: DerElement, isKnownType: boolean): string {
  const width = isKnownType ? CHARACTER_BYTES.get(value.tag) : undefined;
  if (width === undefined) return `#${Buffer.from(value.encoded).toString('hex').toUpperCase()}`;
  const bytes = width === 0 ? value.content : utf8Of(value.content, width);
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += escapeByte(bytes[i]!, i === 0, i === bytes.length - 1);
  return text;
}

/** Characters of a fixed width, each of which may be any number, in UTF-8. */
function utf8Of(content: Uint8Array, width: number): Uint8Array {
  if (content.length % width !== 0) throw new DerError('a string that is cut short');
  const bytes: number[] = [];
  for (let i = 0; i < content.length; i += width) {
    let character = 0;
    for (let j = 0; j < width; j++) character = character * 256 + content[i + j]!;
    if (character > 0x10_ffff || (character >= 0xd800 && character < 0xe000)) {
      throw new DerError('a string with what is no character');
    }
    bytes.push(...Buffer.from(String.fromCodePoint(character)));
  }
  return Uint8Array.from(bytes);
}

function escapeByte(byte: number, isFirst: boolean, isLast: boolean): string {
  if (byte < 0x20 || byte >= 0x7f) return `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  const character = String.fromCharCode(byte);
  const isSpecial =
    ',+"\\<>;'.includes(character) || (character === ' ' && (isFirst || isLast)) || (character === '#' && isFirst);
  return isSpecial ? `\\${character}` : character;
}

/** OpenSSL's short names of the attributes that names have. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    CN: '2.5.4.3',
    SN: '2.5.4.4',
    serialNumber: '2.5.4.5',
    C: '2.5.4.6',
    L: '2.5.4.7',
    ST: '2.5.4.8',
    street: '2.5.4.9',
    O: '2.5.4.10',
    OU: '2.5.4.11',
    title: '2.5.4.12',
    description: '2.5.4.13',
    searchGuide: '2.5.4.14',
    businessCategory: '2.5.4.15',
    postalAddress: '2.5.4.16',
    postalCode: '2.5.4.17',
    postOfficeBox: '2.5.4.18',
    physicalDeliveryOfficeName: '2.5.4.19',
    telephoneNumber: '2.5.4.20',
    name: '2.5.4.41',
    GN: '2.5.4.42',
    initials: '2.5.4.43',
    generationQualifier: '2.5.4.44',
    x500UniqueIdentifier: '2.5.4.45',
    dnQualifier: '2.5.4.46',
    houseIdentifier: '2.5.4.51',
    dmdName: '2.5.4.54',
    pseudonym: '2.5.4.65',
    role: '2.5.4.72',
    organizationIdentifier: '2.5.4.97',
    c3: '2.5.4.98',
    n3: '2.5.4.99',
    UID: '0.9.2342.19200300.100.1.1',
    mail: '0.9.2342.19200300.100.1.3',
    info: '0.9.2342.19200300.100.1.4',
    roomNumber: '0.9.2342.19200300.100.1.6',
    host: '0.9.2342.19200300.100.1.9',
    manager: '0.9.2342.19200300.100.1.10',
    DC: '0.9.2342.19200300.100.1.25',
    uid: '0.9.2342.19200300.100.1.44',
    emailAddress: '1.2.840.113549.1.9.1',
    unstructuredName: '1.2.840.113549.1.9.2',
    unstructuredAddress: '1.2.840.113549.1.9.8',
    challengePassword: '1.2.840.113549.1.9.7',
    friendlyName: '1.2.840.113549.1.9.20',
    jurisdictionL: '1.3.6.1.4.1.311.60.2.1.1',
    jurisdictionST: '1.3.6.1.4.1.311.60.2.1.2',
    jurisdictionC: '1.3.6.1.4.1.311.60.2.1.3',
    INN: '1.2.643.3.131.1.1',
    OGRN: '1.2.643.100.1',
    SNILS: '1.2.643.100.3',
    OGRNIP: '1.2.643.100.5',
  }).map(([name, id]) => [id, name]),
);
