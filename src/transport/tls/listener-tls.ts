// TLS of one listener: its files, the options of its sockets, and what is asked of its clients after the handshake.
import { constants } from 'node:crypto';
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
} from 'node:tls';
import { type ListenerConfig, ListenerProtocol } from '../../config/config.ts';
import type { TlsInfo } from '../listener.ts';
import { CertificateError } from './certificate-error.ts';
import { readTlsFiles, type ServerCertificate, type TlsFiles } from './certificate-files.ts';
import { CipherListError, isCipherForKey, selectCiphers, selectTls13Ciphers } from './cipher-list.ts';
import { checkClientCertificate, NO_CERTIFICATE, type PeerCertificate } from './client-certificate.ts';

/** The part of a Bun socket that is looked at once its handshake is over. */
export interface SecureSocket {
  readonly authorized: boolean;
  getCipher(): { readonly name: string; readonly version: string };
  getServername(): string | false | null | undefined;
  /** With `false` the certificate comes with those of its issuers. */
  getPeerCertificate(isAlone?: boolean): PeerCertificate | null;
}

/** Numbers of the versions on the wire, as Bun.listen takes them. */
const WIRE_TLS12 = 0x0303;
const WIRE_TLS13 = 0x0304;

/** A listener has no certificate of the client; in the library's words. */
const NONE_SHOWN = 'UNABLE_TO_GET_ISSUER_CERT';

type NamedContext = [serverName: string, context: SecureContext];

export class ListenerTls {
  private readonly config: ListenerConfig;
  private readonly onWarning: (line: string) => void;
  /** Names that the TLS library knows; null: its default. */
  private readonly ciphers: readonly string[] | null;
  /** Null: all. */
  private readonly tls13Ciphers: ReadonlySet<string> | null;
  private files: TlsFiles;
  private names: NamedContext[];
  private contexts: Server | null = null;

  /**
   * Reads the files.
   *
   * @param config with certfile and keyfile
   * @param onWarning takes lines for the log
   * @throws CertificateError
   */
  constructor(config: ListenerConfig, onWarning: (line: string) => void) {
    this.config = config;
    this.onWarning = onWarning;
    this.ciphers = readList('ciphers', config.ciphers, selectCiphers);
    this.tls13Ciphers = readList('ciphers_tls1.3', config.ciphersTls13, selectTls13Ciphers);
    [this.files, this.names] = this.read();
    if (this.tls13Ciphers !== null) {
      const first = 'a client whose first choice is another cipher is refused, also one that has others';
      onWarning(`Warning: ciphers_tls1.3 "${config.ciphersTls13}": ${first}.`);
    }
  }

  /** @throws CertificateError, also for what the TLS library does not take */
  private read(): [TlsFiles, NamedContext[]] {
    const { certfile, sniCertificates } = this.config;
    const files = readTlsFiles(this.config, Date.now());
    this.makeContext(files, files.own, 'certfile', certfile!);
    const names = sniCertificates.map((one, index): NamedContext => {
      const context = this.makeContext(files, files.others[index]!, 'sni_certificate', one.certfile);
      return [one.serverName, context];
    });
    for (const line of files.warnings) this.onWarning(`Warning: ${line}`);
    const keyTypes = new Set([files.own, ...files.others].map(({ keyType }) => keyType));
    const isOfUse = (cipher: string) => [...keyTypes].some((keyType) => isCipherForKey(cipher, keyType));
    if (this.minVersion === 'TLSv1.2' && this.ciphers?.some(isOfUse) === false) {
      const kinds = [...keyTypes].join(' and ');
      this.onWarning(`Warning: none of ciphers goes with a key of type ${kinds}: TLS 1.2 is not spoken.`);
    }
    return [files, names];
  }

  private get minVersion(): 'TLSv1.2' | 'TLSv1.3' {
    return this.config.tlsVersion === 'tlsv1.3' ? 'TLSv1.3' : 'TLSv1.2';
  }

  /** What Bun.listen and the contexts of node:tls call by the same names. */
  private common(files: TlsFiles, { key, chain }: ServerCertificate) {
    const { requireCertificate } = this.config;
    return {
      key,
      cert: chain,
      // Where clients are asked this is never empty: without any the library would trust the authorities of web sites.
      ...(requireCertificate ? { ca: files.authorities.map(({ x509 }) => x509.toString()) } : {}),
      ...(this.ciphers === null ? {} : { ciphers: this.ciphers.join(':') }),
    };
  }

  /** For Bun.listen, whose types do not have `minVersion`. */
  get options(): Bun.TLSOptions & { minVersion: number } {
    const { protocol, requireCertificate } = this.config;
    return {
      ...this.common(this.files, this.files.own),
      ALPNProtocols: alpnList(protocol === ListenerProtocol.websockets ? ['http/1.1', 'mqtt'] : ['mqtt']),
      minVersion: this.minVersion === 'TLSv1.3' ? WIRE_TLS13 : WIRE_TLS12,
      secureOptions: constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
      requestCert: requireCertificate,
      rejectUnauthorized: this.rejectsUnauthorized,
    };
  }

  /** False: the library keeps whom it does not trust, and `describe` finds out who may stay. */
  private get rejectsUnauthorized(): boolean {
    return this.config.requireCertificate && !this.config.disableClientCertDateChecks;
  }

  private contextOptions(files: TlsFiles, certificate: ServerCertificate): SecureContextOptions {
    return { ...this.common(files, certificate), minVersion: this.minVersion, honorCipherOrder: true };
  }

  /** @throws CertificateError */
  private makeContext(files: TlsFiles, certificate: ServerCertificate, option: string, path: string): SecureContext {
    try {
      return createSecureContext(this.contextOptions(files, certificate));
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      throw new CertificateError(`Unable to use ${option} "${path}": ${code ?? message}.`, { cause: error });
    }
  }

  /**
   * Shows the certificates of `sni_certificate` to clients that ask for their names.
   *
   * @param listener what Bun.listen returned
   */
  attach(listener: object): void {
    this.contexts = contextsOf(listener, this.config.requireCertificate, this.rejectsUnauthorized);
    this.showNames();
  }

  private showNames(): void {
    for (const [serverName, context] of this.names) this.contexts?.addContext(serverName, context);
  }

  /**
   * Reads the files again, for the handshakes from now on; connections stay as they are, and sessions of before are not
   * resumed.
   *
   * @throws CertificateError, and what was read before holds
   */
  reload(): void {
    const [files, names] = this.read();
    this.contexts?.setSecureContext(this.contextOptions(files, files.own));
    this.files = files;
    this.names = names;
    this.showNames();
  }

  /**
   * What a finished handshake brought.
   *
   * @param error what the library has against the client's certificate
   */
  describe(socket: SecureSocket, error: Error | null): TlsInfo {
    const { name: cipher, version } = socket.getCipher();
    const serverName = socket.getServername() || null;
    const isRefused = version === 'TLSv1.3' && this.tls13Ciphers !== null && !this.tls13Ciphers.has(cipher);
    const refusal = isRefused ? `cipher ${cipher} is not in ciphers_tls1.3` : null;
    return { version, cipher, serverName, refusal, client: this.checkClient(socket, error) };
  }

  private checkClient(socket: SecureSocket, error: Error | null) {
    if (!this.config.requireCertificate) return NO_CERTIFICATE;
    const code = error === null ? null : ((error as { code?: string }).code ?? error.message);
    if (code === NONE_SHOWN && socket.getPeerCertificate()?.raw === undefined) return NO_CERTIFICATE;
    // The library's last word, whatever the error may be.
    const problem = code ?? (socket.authorized ? null : 'it did not verify');
    return checkClientCertificate(this.config, this.files, problem, () => socket.getPeerCertificate(false), Date.now());
  }
}

/**
 * The way to change the certificates of an open Bun listener: node:tls has it for its own servers, which are Bun listeners
 * inside. Bun.listen alone has none, and a server of node:tls costs a few KB more a connection. A test for each thing that
 * may be renewed tells when this no longer holds.
 */
function contextsOf(listener: object, requestCert: boolean, rejectUnauthorized: boolean): Server {
  return Object.assign(createServer({ requestCert, rejectUnauthorized }), { _handle: listener });
}

/** ALPN names in the wire form that the TLS library takes: a length byte before each. */
function alpnList(names: readonly string[]): string {
  return names.map((name) => String.fromCharCode(name.length) + name).join('');
}

function readList<T>(option: string, list: string | null, read: (list: string) => T): T | null {
  try {
    return list === null ? null : read(list);
  } catch (error) {
    if (!(error instanceof CipherListError)) throw error;
    throw new CertificateError(`Unable to set ${option} "${list}": ${error.message}.`, { cause: error });
  }
}
