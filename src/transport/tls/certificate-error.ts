/** Certificates could not be loaded or do not fit; the message names the file. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}
