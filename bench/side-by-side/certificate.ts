/** One self-signed EC P-256 certificate a run, the same for every broker. */
import { join } from 'node:path';

export function makeCertificate(directory: string): { certFile: string; keyFile: string } {
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
