// The chain of a client's certificate. That it leads to an authority of `cafile` or `capath`, the TLS library verifies
// (RFC 5280 section 6); here is what has to be asked beyond that.
import { type Certificate, Oid } from './certificate.ts';
import { DerTag, parseDer } from './der.ts';

/** Of signatures that one chain may cost: whoever connects chooses what it shows. */
const MOST_SIGNATURES = 30;
const MOST_ISSUERS = 10;
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
const MAY_SIGN_HANDSHAKE = 0x88; // digitalSignature or keyAgreement

/** Critical extensions that are checked here, or that say nothing about the way to the authority. */
const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([
  Oid.keyUsage,
  Oid.subjectAltName,
  Oid.basicConstraints,
  Oid.crlDistributionPoints,
  Oid.certificatePolicies,
  Oid.extendedKeyUsage,
  '2.5.29.18', // issuerAltName
]);

/** Who issued a certificate; null where it is none of the candidates. */
export function findIssuer(certificate: Certificate, candidates: Iterable<Certificate>): Certificate | null {
  for (const one of candidates) if (certificate.isIssuedBy(one)) return one;
  return null;
}

/**
 * Verifies a chain as the TLS library does, but for the dates (`disable_client_cert_date_checks`): the library tells the
 * last of all that is wrong with a chain, and that a certificate has expired may hide that nobody vouches for it.
 *
 * @param presented what the client showed, its own certificate first
 * @returns what is wrong, in the library's words where it has some; null: nothing
 */
export function verifyWithoutDates(
  presented: readonly Certificate[],
  authorities: readonly Certificate[],
): string | null {
  const [client] = presented;
  if (client === undefined) return 'UNABLE_TO_GET_ISSUER_CERT';
  const { keyUsage } = client;
  if (keyUsage !== null && (keyUsage & MAY_SIGN_HANDSHAKE) === 0) return 'INVALID_PURPOSE';
  const problem = checkPurpose(client);
  if (problem !== null) return problem;
  return new PathSearch(presented.slice(1), authorities).run(client);
}

class PathSearch {
  private readonly presented: readonly Certificate[];
  private readonly authorities: readonly Certificate[];
  private signatures = 0;
  /** The first thing that spoke against a way that could have led to an authority. */
  private problem: string | null = null;

  constructor(presented: readonly Certificate[], authorities: readonly Certificate[]) {
    this.presented = presented;
    this.authorities = authorities;
  }

  run(client: Certificate): string | null {
    if (client.isSelfIssued && this.authorities.some((one) => one.isSame(client))) return null;
    return this.reaches(client, []) ? null : (this.problem ?? 'UNABLE_TO_GET_ISSUER_CERT');
  }

  /** @param below the certificates between the client's and this one, from below */
  private reaches(certificate: Certificate, below: readonly Certificate[]): boolean {
    if (below.length === MOST_ISSUERS) return false;
    for (const issuer of [...this.authorities, ...this.presented]) {
      if (issuer.isSame(certificate) || below.includes(issuer)) continue;
      if (!Buffer.from(issuer.subject).equals(certificate.issuer)) continue;
      if (++this.signatures > MOST_SIGNATURES) return false;
      if (!certificate.isIssuedBy(issuer)) continue;
      const problem = checkAuthority(issuer, below);
      if (problem !== null) {
        this.problem ??= problem;
        continue;
      }
      const isTrusted = this.authorities.includes(issuer);
      if (isTrusted && issuer.isSelfIssued) return true;
      if (this.reaches(issuer, [...below, issuer])) return true;
    }
    return false;
  }
}

/** @param below the authorities below this one */
function checkAuthority(issuer: Certificate, below: readonly Certificate[]): string | null {
  const constraints = issuer.extensions.get(Oid.basicConstraints);
  if (!issuer.x509.ca || constraints === undefined) return 'INVALID_CA';
  const limit = pathLengthLimit(constraints.value);
  const length = below.filter((one) => !one.isSelfIssued).length;
  if (limit !== null && length > limit) return 'PATH_LENGTH_EXCEEDED';
  // To check the names of a client against them is the TLS library's alone.
  if (issuer.extensions.has(Oid.nameConstraints))
    return 'an issuer with name constraints cannot be checked without dates';
  return checkPurpose(issuer);
}

/** What the client's certificate and its issuers must all be good for. */
function checkPurpose({ extensions }: Certificate): string | null {
  for (const [id, { isCritical }] of extensions) {
    if (isCritical && !KNOWN_EXTENSIONS.has(id)) return 'UNHANDLED_CRITICAL_EXTENSION';
  }
  const usage = extensions.get(Oid.extendedKeyUsage);
  if (usage === undefined) return null;
  const purposes = parseDer(usage.value).expect(DerTag.sequence).children();
  return purposes.some((one) => one.objectIdentifier() === CLIENT_AUTHENTICATION) ? null : 'INVALID_PURPOSE';
}

/** How many authorities may stand between this one and the client's certificate; null: any number. */
function pathLengthLimit(basicConstraints: Uint8Array): number | null {
  const reader = parseDer(basicConstraints).expect(DerTag.sequence).reader();
  reader.optional(DerTag.boolean);
  return reader.optional(DerTag.integer)?.smallInteger() ?? null;
}
