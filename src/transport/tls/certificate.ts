import { X509Certificate } from 'node:crypto';
import { contextTag, DerError, DerTag, isSameBytes, parseDer } from './der.ts';

export const Oid = {
  commonName: '2.5.4.3',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

export interface Extension {
  readonly isCritical: boolean;
  /** DER of the extension's own type. */
  readonly value: Uint8Array;
}

/** `Extensions` of a certificate, a revocation list or an entry of one, by object identifier. */
export type Extensions = ReadonlyMap<string, Extension>;

/** @throws DerError where one comes twice, too (RFC 5280 section 4.2) */
export function readExtensions(encoded: Uint8Array): Extensions {
  const all = new Map<string, Extension>();
  for (const one of parseDer(encoded).expect(DerTag.sequence).children()) {
    const reader = one.expect(DerTag.sequence).reader();
    const id = reader.next().objectIdentifier();
    const isCritical = reader.optional(DerTag.boolean)?.boolean() ?? false;
    const value = reader.next().expect(DerTag.octetString).content;
    reader.finish();
    if (all.has(id)) throw new DerError(`extension ${id} comes twice`);
    all.set(id, { isCritical, value });
  }
  return all;
}

/** Bits of `keyUsage` (RFC 5280 section 4.2.1.3), the first one highest. */
export const KeyUsage = { digitalSignature: 0x80, keyAgreement: 0x08, keyCertSign: 0x04, cRLSign: 0x02 } as const;

/** A certificate: what node:crypto makes of it, and the parts that it does not give as bytes. */
export class Certificate {
  readonly x509: X509Certificate;
  /** Hexadecimal digits without leading zeros. */
  readonly serial: string;
  /** `Name` in DER. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: Extensions;

  /** @throws Error where the bytes are no certificate */
  constructor(der: Uint8Array) {
    this.x509 = new X509Certificate(der);
    const reader = parseDer(this.x509.raw).expect(DerTag.sequence).reader().next().expect(DerTag.sequence).reader();
    reader.optional(contextTag(0, true)); // version
    this.serial = reader.next().integerHex();
    reader.next(); // algorithm of the signature
    this.issuer = reader.next().expect(DerTag.sequence).encoded;
    const [notBefore, notAfter] = reader.next().expect(DerTag.sequence).children();
    this.subject = reader.next().expect(DerTag.sequence).encoded;
    if (notBefore === undefined || notAfter === undefined) throw new DerError('a malformed validity');
    this.notBeforeMs = notBefore.timeMs();
    this.notAfterMs = notAfter.timeMs();
    reader.next(); // public key
    reader.optional(contextTag(1, false));
    reader.optional(contextTag(2, false));
    const extensions = reader.optional(contextTag(3, true));
    this.extensions = extensions === null ? new Map() : readExtensions(extensions.content);
    reader.finish();
  }

  get isSelfIssued(): boolean {
    return isSameBytes(this.issuer, this.subject);
  }

  /** The first byte of `keyUsage`; null where it may be used for anything. */
  get keyUsage(): number | null {
    const extension = this.extensions.get(Oid.keyUsage);
    return extension === undefined ? null : (parseDer(extension.value).bits()[0] ?? 0);
  }

  /** Names, key usage and the signature say that `issuer` issued this one; nothing else is checked of it. */
  isIssuedBy(issuer: Certificate): boolean {
    if (!isSameBytes(this.issuer, issuer.subject)) return false;
    try {
      return this.x509.checkIssued(issuer.x509) && this.x509.verify(issuer.x509.publicKey);
    } catch {
      return false; // a key of a kind that the library does not know
    }
  }

  isSame(other: Certificate): boolean {
    return isSameBytes(this.x509.raw, other.x509.raw);
  }
}

/** Labels of certificates in PEM that OpenSSL takes. */
export const certificateLabels: ReadonlySet<string> = new Set([
  'CERTIFICATE',
  'X509 CERTIFICATE',
  'TRUSTED CERTIFICATE',
]);
