// What a listener asks of the certificate that a client showed, beyond what the TLS library verified.
import type { ListenerConfig } from '../../config/config.ts';
import { Certificate } from './certificate.ts';
import { findIssuer, verifyWithoutDates } from './certificate-chain.ts';
import type { TlsFiles } from './certificate-files.ts';
import { DerError } from './der.ts';
import { commonNameOf, formatDistinguishedName } from './distinguished-name.ts';
import { checkRevocation } from './revocation-list.ts';

/** The outcome for one client. */
export interface ClientCertificate {
  readonly isVerified: boolean;
  /** Why it does not count; null: there is none, or it counts. */
  readonly error: string | null;
  /** What `use_identity_as_username` or `use_subject_as_username` takes from it; null: nothing. */
  readonly username: string | null;
}

/** Certificates in DER as the library hands them out, each with who issued it; the last one with itself, or without. */
export interface PeerCertificate {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: PeerCertificate;
}

type ClientRules = Pick<
  ListenerConfig,
  'disableClientCertDateChecks' | 'useIdentityAsUsername' | 'useSubjectAsUsername'
>;

export const NO_CERTIFICATE: ClientCertificate = { isVerified: false, error: null, username: null };
const VERIFIED: ClientCertificate = { isVerified: true, error: null, username: null };
/** Of a chain, in the library's words: the date alone may be wrong. */
const DATE_ERRORS: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
/** More than this of a chain nobody looks at. */
const MOST_PRESENTED = 20;

/**
 * @param error the library's, null where the chain verified
 * @param peer asked for where the certificate itself has to be seen
 * @param nowMs milliseconds since 1970
 */
export function checkClientCertificate(
  rules: ClientRules,
  files: Pick<TlsFiles, 'authorities' | 'revocations'>,
  error: string | null,
  peer: () => PeerCertificate | null,
  nowMs: number,
): ClientCertificate {
  const ignoresDates = rules.disableClientCertDateChecks;
  if (error !== null && !(ignoresDates && DATE_ERRORS.has(error))) return { ...NO_CERTIFICATE, error };
  const wantsName = rules.useIdentityAsUsername || rules.useSubjectAsUsername;
  if (error === null && files.revocations === null && !wantsName) return VERIFIED;
  try {
    const presented = presentedBy(peer());
    const [client] = presented;
    if (client === undefined) return NO_CERTIFICATE;
    const problem =
      (error === null ? null : verifyWithoutDates(presented, files.authorities)) ??
      revocationProblem(client, presented, files, ignoresDates ? null : nowMs);
    if (problem !== null) return { ...NO_CERTIFICATE, error: problem };
    return { isVerified: true, error: null, username: usernameOf(rules, client) };
  } catch (malformed) {
    if (!(malformed instanceof DerError)) throw malformed;
    return { ...NO_CERTIFICATE, error: `it has ${malformed.message}` };
  }
}

/** From the client's own certificate upwards. */
function presentedBy(peer: PeerCertificate | null): Certificate[] {
  const all: Certificate[] = [];
  const seen = new Set<PeerCertificate>();
  for (let one = peer ?? undefined; one?.raw !== undefined && !seen.has(one); one = one.issuerCertificate) {
    if (seen.size === MOST_PRESENTED) break;
    seen.add(one);
    all.push(new Certificate(one.raw));
  }
  return all;
}

function revocationProblem(
  client: Certificate,
  presented: readonly Certificate[],
  { authorities, revocations }: Pick<TlsFiles, 'authorities' | 'revocations'>,
  nowMs: number | null,
): string | null {
  if (revocations === null) return null;
  const issuer = findIssuer(client, [...authorities, ...presented]);
  return issuer === null ? 'UNABLE_TO_GET_ISSUER_CERT' : checkRevocation(revocations, client, issuer, nowMs);
}

function usernameOf(rules: ClientRules, { subject }: Certificate): string | null {
  if (rules.useIdentityAsUsername) return commonNameOf(subject);
  return rules.useSubjectAsUsername ? formatDistinguishedName(subject) : null;
}
