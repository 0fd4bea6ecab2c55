/** A certificate authority of openssl in a folder of its own, for tests. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate with its key, as files. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  /** In openssl's form: `/C=DE/O=Example/CN=device`. */
  readonly subject?: string;
  /** Lines of an extensions section of openssl's configuration. */
  readonly extensions?: readonly string[];
  /** `YYYYMMDDHHMMSSZ` */
  readonly from?: string;
  readonly until?: string;
  /** Further arguments of `openssl req -new`. */
  readonly request?: readonly string[];
  readonly rsaBits?: number;
}

export interface ListOptions {
  readonly from?: string;
  readonly until?: string;
  /** Lines of the CRL's extensions section. */
  readonly extensions?: readonly string[];
  /** Further arguments of `openssl ca -gencrl`. */
  readonly args?: readonly string[];
}

const LONG_AGO = '20200101000000Z';
const FAR_AWAY = '21200101000000Z';

/** Runs openssl; its error output is the message of what it throws. */
export function openssl(args: readonly string[], cwd?: string): string {
  const run = Bun.spawnSync(['openssl', ...args], { ...(cwd === undefined ? {} : { cwd }), stderr: 'pipe' });
  if (run.exitCode !== 0) throw new Error(`openssl ${args.join(' ')}:\n${run.stderr.toString()}`);
  return run.stdout.toString();
}

export class TestFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'martlet-authority-'));

  join(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Writes a file of this content and returns its path. */
  write(name: string, content: string): string {
    writeFileSync(this.join(name), content);
    return this.join(name);
  }

  /** Files one behind the other in a new one. */
  joined(name: string, ...files: string[]): string {
    return this.write(name, files.map((file) => readFileSync(file, 'utf8')).join(''));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export class Authority {
  readonly name: string;
  /** Its certificate. */
  readonly cert: string;
  readonly key: string;
  private readonly folder: TestFolder;
  private readonly config: string;
  private lists = 0;

  private constructor(folder: TestFolder, name: string, own: Issued) {
    this.folder = folder;
    this.name = name;
    this.cert = own.cert;
    this.key = own.key;
    const database = folder.join(`${name}-db`);
    mkdirSync(database);
    writeFileSync(join(database, 'index.txt'), '');
    writeFileSync(join(database, 'serial'), '8fa0\n');
    writeFileSync(join(database, 'crlnumber'), '01\n');
    this.config = folder.write(
      `${name}.cnf`,
      `[ca]
default_ca = own
[own]
database = ${database}/index.txt
serial = ${database}/serial
crlnumber = ${database}/crlnumber
new_certs_dir = ${database}
certificate = ${own.cert}
private_key = ${own.key}
default_md = sha256
policy = anything
unique_subject = no
[anything]
commonName = optional
`,
    );
  }

  /** What was issued, as if it were an authority. */
  static of(folder: TestFolder, name: string, issued: Issued): Authority {
    return new Authority(folder, name, issued);
  }

  /** A root. */
  static root(folder: TestFolder, name: string, options: IssueOptions = {}): Authority {
    const key = makeKey(folder, name, options.rsaBits);
    const cert = folder.join(`${name}.pem`);
    const extensions = options.extensions ?? ['keyUsage = critical,keyCertSign,cRLSign'];
    const config = folder.write(
      `${name}-root.cnf`,
      `[req]\ndistinguished_name = dn\n[dn]\n[ext]\nbasicConstraints = critical,CA:TRUE\nsubjectKeyIdentifier = hash\n${extensions.join('\n')}\n`,
    );
    const subject = options.subject ?? `/O=Martlet tests/CN=${name}`;
    openssl([
      'req',
      '-x509',
      '-new',
      '-key',
      key,
      '-subj',
      subject,
      '-days',
      '36500',
      '-out',
      cert,
      '-config',
      config,
      '-extensions',
      'ext',
    ]);
    return new Authority(folder, name, { cert, key });
  }

  /** An authority that this one vouches for. */
  intermediate(name: string, options: IssueOptions = {}): Authority {
    const extensions = options.extensions ?? [
      'basicConstraints = critical,CA:TRUE',
      'keyUsage = critical,keyCertSign,cRLSign',
    ];
    return new Authority(this.folder, name, this.issue(name, { ...options, extensions }));
  }

  issue(name: string, options: IssueOptions = {}): Issued {
    const { folder, config } = this;
    const key = makeKey(folder, name, options.rsaBits);
    const [request, cert] = [folder.join(`${name}.csr`), folder.join(`${name}.pem`)];
    const subject = options.subject ?? `/CN=${name}`;
    openssl(['req', '-new', '-key', key, '-subj', subject, '-out', request, '-utf8', ...(options.request ?? [])]);
    const extensions = options.extensions ?? [
      'basicConstraints = CA:FALSE',
      `subjectAltName = DNS:localhost,IP:127.0.0.1`,
      'authorityKeyIdentifier = keyid',
    ];
    const file = folder.write(`${name}-ext.cnf`, `[ext]\n${extensions.join('\n')}\n`);
    openssl([
      ...['ca', '-batch', '-config', config, '-in', request, '-out', cert, '-notext', '-utf8', '-preserveDN'],
      ...['-extfile', file, '-extensions', 'ext'],
      ...['-startdate', options.from ?? LONG_AGO, '-enddate', options.until ?? FAR_AWAY],
    ]);
    return { cert, key };
  }

  revoke({ cert }: Issued, reason = 'keyCompromise'): void {
    openssl(['ca', '-config', this.config, '-revoke', cert, '-crl_reason', reason]);
  }

  /** Writes its revocation list of now, and returns the file. */
  list({ from = LONG_AGO, until = FAR_AWAY, extensions, args = [] }: ListOptions = {}): string {
    const name = `${this.name}-${++this.lists}`;
    const file = this.folder.join(`${name}.crl`);
    const lines = extensions === undefined ? [] : ['[crl]', ...extensions];
    const config = this.folder.write(`${name}.cnf`, `${readFileSync(this.config, 'utf8')}${lines.join('\n')}\n`);
    openssl([
      ...['ca', '-config', config, '-gencrl', '-out', file, '-crl_lastupdate', from, '-crl_nextupdate', until],
      ...(extensions === undefined ? [] : ['-crlexts', 'crl']),
      ...args,
    ]);
    return file;
  }
}

function makeKey(folder: TestFolder, name: string, rsaBits?: number): string {
  const file = folder.join(`${name}.key`);
  const kind =
    rsaBits === undefined
      ? ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256']
      : ['RSA', '-pkeyopt', `rsa_keygen_bits:${rsaBits}`];
  openssl(['genpkey', '-algorithm', ...kind, '-out', file]);
  return file;
}
