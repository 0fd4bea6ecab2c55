/** The self-signed EC P-256 certificate that all brokers of a run share. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CertificateFiles {
  certFile: string;
  keyFile: string;
}

/** Made when first asked for, kept until `remove`. */
export class RunCertificate {
  private directory: string | null = null;
  private files: CertificateFiles | null = null;

  get(): CertificateFiles {
    if (this.files === null) {
      this.directory = mkdtempSync(join(tmpdir(), 'martlet-bench-tls-'));
      this.files = makeCertificate(this.directory);
    }
    return this.files;
  }

  remove(): void {
    if (this.directory !== null) rmSync(this.directory, { recursive: true, force: true });
    this.directory = null;
    this.files = null;
  }
}

function makeCertificate(directory: string): CertificateFiles {
  const certFile = join(directory, 'server.crt');
  const keyFile = join(directory, 'server.key');
  const made = Bun.spawnSync([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout',
    keyFile,
    '-out',
    certFile,
  ]);
  if (made.exitCode !== 0) throw new Error(`openssl could not make a certificate: ${made.stderr.toString()}`);
  return { certFile, keyFile };
}
