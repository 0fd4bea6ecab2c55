// Certificate revocation lists (RFC 5280 section 5). The runtime's own check asks for the list of every issuer up to the
// root; Mosquitto asks for that of the client certificate's issuer alone, and so does this one.
import { type KeyObject, verify, constants } from 'node:crypto';
import { Certificate, type Extensions, KeyUsage, Oid, readExtensions } from './certificate.ts';
import { contextTag, DerElement, DerError, DerTag, isSameBytes, parseDer } from './der.ts';

/** What speaks against a certificate, in the words of TLS libraries. */
export const RevocationProblem = {
  revoked: 'CERT_REVOKED',
  noList: 'UNABLE_TO_GET_CRL',
  wrongScope: 'DIFFERENT_CRL_SCOPE',
  badSignature: 'CRL_SIGNATURE_FAILURE',
  issuerMayNotSign: 'KEYUSAGE_NO_CRL_SIGN',
  notYetValid: 'CRL_NOT_YET_VALID',
  expired: 'CRL_HAS_EXPIRED',
} as const;
export type RevocationProblem = (typeof RevocationProblem)[keyof typeof RevocationProblem];

/** Extensions of a list that this reader knows, or that change nothing of what a list means. */
const KNOWN_LIST_EXTENSIONS: ReadonlySet<string> = new Set([
  Oid.authorityKeyIdentifier,
  Oid.crlNumber,
  Oid.issuingDistributionPoint,
]);
/** `removeFromCRL`: the certificate was on hold and is good again. */
const REASON_REMOVED = 8;

export class RevocationList {
  /** `Name` in DER. */
  readonly issuer: Uint8Array;
  readonly thisUpdateMs: number;
  /** Infinity where the list does not say. */
  readonly nextUpdateMs: number;
  private readonly serials = new Set<string>();
  /** Places of publication that the list is for, each in DER; null: all of them. */
  private readonly points: readonly Uint8Array[] | null;
  private readonly signed: Uint8Array;
  private readonly signature: Uint8Array;
  private readonly algorithm: SignatureAlgorithm;
  /** Keys of which is known whether they signed this list. */
  private readonly verdicts = new Map<string, boolean>();

  /** @throws DerError where it is none, or one whose meaning is not known here */
  constructor(der: Uint8Array) {
    const [signed, algorithm, signature, ...more] = parseDer(der).expect(DerTag.sequence).children();
    if (signature === undefined || more.length > 0) throw new DerError('not a revocation list');
    this.signed = signed!.encoded;
    this.signature = signature.bits();
    this.algorithm = readAlgorithm(algorithm!);
    const reader = signed!.expect(DerTag.sequence).reader();
    reader.optional(DerTag.integer); // version
    if (!isSameBytes(reader.next().encoded, algorithm!.encoded)) {
      throw new DerError('two different algorithms of the signature');
    }
    this.issuer = reader.next().expect(DerTag.sequence).encoded;
    this.thisUpdateMs = reader.next().timeMs();
    const hasNextUpdate = reader.nextTag === DerTag.utcTime || reader.nextTag === DerTag.generalizedTime;
    this.nextUpdateMs = hasNextUpdate ? reader.next().timeMs() : Infinity;
    const revoked = reader.optional(DerTag.sequence);
    const extensions = reader.optional(contextTag(0, true));
    reader.finish();
    if (revoked !== null) for (const entry of revoked.children()) this.addEntry(entry);
    this.points = extensions === null ? null : readScope(readExtensions(extensions.content));
  }

  private addEntry(entry: DerElement): void {
    const reader = entry.expect(DerTag.sequence).reader();
    const serial = reader.next().integerHex();
    reader.next().timeMs();
    const extensions = reader.optional(DerTag.sequence);
    reader.finish();
    if (extensions !== null) {
      for (const [id, { isCritical, value }] of readExtensions(extensions.encoded)) {
        if (id === Oid.reasonCode) {
          if (parseDer(value).expect(DerTag.enumerated).content[0] === REASON_REMOVED) return;
        } else if (id === Oid.certificateIssuer) throw new DerError('an indirect list, which is not supported');
        else if (isCritical) throw new DerError(`the critical extension ${id} of an entry, which is not known`);
      }
    }
    this.serials.add(serial);
  }

  get size(): number {
    return this.serials.size;
  }

  /** The same for lists that replace each other. */
  get scope(): string {
    return this.points === null ? '' : this.points.map((one) => Buffer.from(one).toString('hex')).join();
  }

  covers(certificate: Certificate): boolean {
    if (this.points === null) return true;
    const published = distributionPoints(certificate.extensions);
    return this.points.some((one) => published.some((other) => isSameBytes(one, other)));
  }

  isSignedBy(key: KeyObject): boolean {
    const id = key.export({ type: 'spki', format: 'der' }).toString('base64');
    let verdict = this.verdicts.get(id);
    if (verdict === undefined) {
      verdict = isSignature(this.algorithm, this.signed, this.signature, key);
      this.verdicts.set(id, verdict);
    }
    return verdict;
  }

  lists(certificate: Certificate): boolean {
    return this.serials.has(certificate.serial);
  }
}

/**
 * What the lists have against a certificate; null: nothing.
 *
 * @param issuer who issued it, already verified
 * @param nowMs milliseconds since 1970; null: dates do not count
 */
export function checkRevocation(
  lists: readonly RevocationList[],
  certificate: Certificate,
  issuer: Certificate,
  nowMs: number | null,
): RevocationProblem | null {
  const ofIssuer = lists.filter((list) => isSameBytes(list.issuer, certificate.issuer));
  if (ofIssuer.length === 0) return RevocationProblem.noList;
  const inScope = ofIssuer.filter((list) => list.covers(certificate));
  if (inScope.length === 0) return RevocationProblem.wrongScope;
  const { keyUsage } = issuer;
  if (keyUsage !== null && (keyUsage & KeyUsage.cRLSign) === 0) return RevocationProblem.issuerMayNotSign;
  const signed = inScope.filter((list) => list.isSignedBy(issuer.x509.publicKey));
  if (signed.length === 0) return RevocationProblem.badSignature;
  const started = nowMs === null ? signed : signed.filter((list) => list.thisUpdateMs <= nowMs);
  if (started.length === 0) return RevocationProblem.notYetValid;
  const newest = newestOfEachScope(started);
  if (newest.some((list) => list.lists(certificate))) return RevocationProblem.revoked;
  const holds = nowMs === null || newest.some((list) => list.nextUpdateMs >= nowMs);
  return holds ? null : RevocationProblem.expired;
}

/** A list that was replaced says less than the one that replaced it. */
function newestOfEachScope(lists: readonly RevocationList[]): RevocationList[] {
  const newest = new Map<string, RevocationList>();
  for (const list of lists) {
    const other = newest.get(list.scope);
    if (other === undefined || list.thisUpdateMs > other.thisUpdateMs) newest.set(list.scope, list);
  }
  return [...newest.values()];
}

/** Of `IssuingDistributionPoint`: the places it is for. Lists for a part of an issuer's certificates are refused. */
function readScope(extensions: Extensions): readonly Uint8Array[] | null {
  for (const [id, { isCritical }] of extensions) {
    if (id === Oid.deltaCrlIndicator) throw new DerError('a delta list, which is of no use without its base');
    if (isCritical && !KNOWN_LIST_EXTENSIONS.has(id)) {
      throw new DerError(`the critical extension ${id}, which is not known`);
    }
  }
  const extension = extensions.get(Oid.issuingDistributionPoint);
  if (extension === undefined) return null;
  let points: Uint8Array[] | null = null;
  for (const part of parseDer(extension.value).expect(DerTag.sequence).children()) {
    if (part.tag === contextTag(0, true)) points = generalNames(part);
    // [1] onlyContainsUserCerts: a client certificate is one.
    else if (part.tag !== contextTag(1, false)) {
      throw new DerError('a list for a part of the certificates, which is not supported');
    }
  }
  return points;
}

/** Where a certificate says that its revocation list is published. */
function distributionPoints(extensions: Extensions): Uint8Array[] {
  const extension = extensions.get(Oid.crlDistributionPoints);
  if (extension === undefined) return [];
  const points = parseDer(extension.value).expect(DerTag.sequence).children();
  return points.flatMap((point) => {
    const name = point.expect(DerTag.sequence).reader().optional(contextTag(0, true));
    return name === null ? [] : generalNames(name);
  });
}

/** `fullName` of a DistributionPointName; a name relative to the issuer is refused. */
function generalNames(point: DerElement): Uint8Array[] {
  const name = point.reader().next();
  if (name.tag !== contextTag(0, true)) throw new DerError('a relative distribution point, which is not supported');
  return name.children().map((one) => one.encoded);
}

interface SignatureAlgorithm {
  readonly id: string;
  /** Of RSASSA-PSS, its parameters. */
  readonly pss: { readonly hash: string; readonly saltLength: number } | null;
}

const SIGNATURE_HASHES: ReadonlyMap<string, string | null> = new Map([
  ['1.2.840.113549.1.1.5', 'sha1'],
  ['1.2.840.113549.1.1.14', 'sha224'],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.10045.4.1', 'sha1'],
  ['1.2.840.10045.4.3.1', 'sha224'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
  ['1.3.101.112', null], // Ed25519
]);
const RSASSA_PSS = '1.2.840.113549.1.1.10';
const MGF1 = '1.2.840.113549.1.1.8';
const HASHES: ReadonlyMap<string, string> = new Map([
  ['1.3.14.3.2.26', 'sha1'],
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);

function readAlgorithm(element: DerElement): SignatureAlgorithm {
  const reader = element.expect(DerTag.sequence).reader();
  const id = reader.next().objectIdentifier();
  if (id === RSASSA_PSS) return { id, pss: readPss(reader.next()) };
  if (!SIGNATURE_HASHES.has(id)) throw new DerError(`a signature of the algorithm ${id}, which is not known`);
  return { id, pss: null };
}

/** RFC 4055 section 3.1, without its defaults of SHA-1. */
function readPss(parameters: DerElement): { hash: string; saltLength: number } {
  const reader = parameters.expect(DerTag.sequence).reader();
  const hash = readHash(reader.optional(contextTag(0, true))?.reader().next());
  const mask = reader.optional(contextTag(1, true))?.reader().next().expect(DerTag.sequence).reader();
  const saltLength = reader.optional(contextTag(2, true))?.reader().next().smallInteger();
  if (mask === undefined || mask.next().objectIdentifier() !== MGF1 || readHash(mask.next()) !== hash) {
    throw new DerError('a signature with two different hashes');
  }
  return { hash, saltLength: saltLength ?? 20 };
}

function readHash(element: DerElement | undefined): string {
  const hash =
    element === undefined ? undefined : HASHES.get(element.expect(DerTag.sequence).reader().next().objectIdentifier());
  if (hash === undefined) throw new DerError('a signature with a hash that is not known');
  return hash;
}

function isSignature(
  { id, pss }: SignatureAlgorithm,
  signed: Uint8Array,
  signature: Uint8Array,
  key: KeyObject,
): boolean {
  try {
    if (pss === null) return verify(SIGNATURE_HASHES.get(id)!, signed, key, signature);
    const { hash, saltLength } = pss;
    return verify(hash, signed, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature);
  } catch {
    return false; // the key is of another kind than the signature
  }
}
