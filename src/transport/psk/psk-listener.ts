// A listener for TLS with pre-shared keys. Bun's TLS has none, so the public port belongs to a small program on Node.js
// (psk-terminator.mjs), which hands its clients over to a unix socket in a folder that only we may enter, each with a
// PROXY header that tells address and identity. One such program serves one listener, on one core; it is started again
// when it ends.
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeProblems, quoted } from '../../config/config-error.ts';
import { defaultListenerConfig, type ListenerConfig } from '../../config/config.ts';
import { CertificateError, ListenError, type OpenListener, openListener, type SocketHandler } from '../listener.ts';
import { readDhParameters } from './dh-parameters.ts';
import { type PskFile, readPskFile } from './psk-file.ts';
import { findNode, type Owner, type PskFailure, TerminatorError, TerminatorProcess } from './psk-process.ts';

/**
 * With forward secrecy before without, authenticated ciphers before CBC. Those with an RSA certificate are left out, for
 * there is none.
 */
const DEFAULT_CIPHERS =
  'kECDHEPSK+CHACHA20:kDHEPSK+AESGCM:kDHEPSK+CHACHA20:kECDHEPSK:kDHEPSK:kPSK+AESGCM:kPSK+CHACHA20:kPSK:!eNULL';
/** Of what TLS libraries send as a hint. */
const MAX_HINT_BYTES = 256;
/** A program that ran so long starts again at once; others wait, twice as long each time. */
const STEADY_MS = 10_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;

/**
 * What a PSK listener has beside its `ListenerConfig`, of which port, host, tlsVersion, ciphers, ciphersTls13, dhparamfile
 * and setTcpNodelay hold.
 */
export interface PskOptions {
  /** `psk_hint`: sent to clients of TLS 1.2; turns PSK on. */
  readonly hint: string;
  /** `psk_file` */
  readonly file: string;
  /** Whom the broker becomes after it has opened its ports (`user`), so that the program does too; null: nobody else. */
  readonly owner?: Owner | null;
  /** The Node.js program, by name or path. */
  readonly node?: string;
}

/** What its owner hears from a PSK listener. */
export interface PskEvents {
  /** A client did not get in; `cause` is one printable line without a full stop. */
  onFailure(address: string, port: number, cause: string, failure: PskFailure): void;
  /** The program ended, or could not be started again: one line for the log, an error. */
  onTrouble(line: string): void;
  /** It runs again: one line for the log. */
  onRecovery(line: string): void;
  /** A line of `psk_file` that gives nobody a key, as `FILE:LINE: TEXT`. */
  onWarning(line: string): void;
}

export interface PskListener extends OpenListener {
  /** Process id of the program; null while there is none. */
  readonly helperPid: number | null;
  /**
   * Reads `psk_file` and `dhparamfile` again; resolves once they hold. Connections stay, also those of identities that are
   * gone.
   *
   * @param file the `psk_file` from now on; the one of before unless given
   * @throws ConfigError, CertificateError, and what was read before holds
   */
  reload(file?: string): Promise<void>;
}

/**
 * Opens a PSK listener.
 *
 * @param handler must put a ProxyLayer for version 2 before all else: the address and, as the name of a verified
 *   certificate, the identity come in its header
 * @throws ConfigError for `psk_file`, ListenError, CertificateError for ciphers and dhparamfile
 */
export async function openPskListener<C>(
  config: ListenerConfig,
  psk: PskOptions,
  handler: SocketHandler<C>,
  events: PskEvents,
): Promise<PskListener> {
  const { keys, dhparam, warnings } = readPskFiles(config, psk.file);
  for (const line of describeProblems(warnings)) events.onWarning(line);
  if (Buffer.byteLength(psk.hint) > MAX_HINT_BYTES) {
    throw new ListenError(`Cannot listen on ${placeOf(config)}: psk_hint is longer than ${MAX_HINT_BYTES} bytes.`);
  }
  checkCiphers(config.ciphersTls13);
  const node = findNodeFor(config, psk.node ?? 'node');
  await checkPort(config);
  const watch = new PskWatch(config, psk, { keys, dhparam, node }, handler, events);
  await watch.open();
  return watch;
}

export interface PskFiles extends PskFile {
  /** PEM, or `auto`. */
  readonly dhparam: string;
}

/**
 * The files of a PSK listener.
 *
 * @param file `psk_file`
 * @throws ConfigError for `psk_file`, CertificateError for `dhparamfile`
 */
export function readPskFiles({ dhparamfile }: Pick<ListenerConfig, 'dhparamfile'>, file: string): PskFiles {
  const dhparam = dhparamfile === null ? 'auto' : readDhParameters(dhparamfile);
  return { ...readPskFile(file), dhparam };
}

/** A key from a file goes with SHA-256 (RFC 8446 section 4.2.11), and a client that offers TLS 1.3 gets no other version. */
function checkCiphers(tls13: string | null): void {
  if (tls13 === null || tls13.split(':').some((name) => name.endsWith('_SHA256'))) return;
  throw new CertificateError(
    `ciphers_tls1.3 "${tls13}" has no cipher with SHA256, and TLS 1.3 takes pre-shared keys with no other.`,
  );
}

function findNodeFor(config: ListenerConfig, name: string): string {
  try {
    return findNode(name);
  } catch (error) {
    throw new ListenError(`Cannot listen on ${placeOf(config)}: ${(error as Error).message}.`, { cause: error });
  }
}

function placeOf({ host, port }: ListenerConfig): string {
  return host === null ? `port ${port}` : `port ${port} on ${host}`;
}

/** Takes the port for a moment, which says what is wrong with it in the same words as any other listener. */
async function checkPort(config: ListenerConfig): Promise<void> {
  if (config.port === 0) return;
  const refuseAll: SocketHandler<never> = {
    onOpen: () => null,
    onSecure() {},
    onTlsError() {},
    onData() {},
    onDrain() {},
    onClose() {},
    onCrash() {},
  };
  const { port, host } = config;
  (await openListener({ ...defaultListenerConfig(), port, host }, refuseAll)).stop();
}

/** What stays the same from one run of the program to the next, but for what is in files. */
interface Material {
  keys: PskFile['keys'];
  dhparam: string;
  readonly node: string;
}

/** One run of the program, with the unix socket that it connects to. */
interface Run {
  readonly folder: string;
  readonly socket: OpenListener;
  readonly startedAtMs: number;
  terminator: TerminatorProcess | null;
  isOver: boolean;
}

class PskWatch<C> implements PskListener {
  port: number;
  private readonly config: ListenerConfig;
  private psk: PskOptions;
  private readonly material: Material;
  private readonly handler: SocketHandler<C>;
  private readonly events: PskEvents;
  private run: Run | null = null;
  private restart: ReturnType<typeof setTimeout> | null = null;
  private delayMs = 0;
  private isStopped = false;

  constructor(
    config: ListenerConfig,
    psk: PskOptions,
    material: Material,
    handler: SocketHandler<C>,
    events: PskEvents,
  ) {
    this.config = config;
    this.psk = psk;
    this.material = material;
    this.handler = handler;
    this.events = events;
    this.port = config.port;
  }

  get helperPid(): number | null {
    return this.run?.terminator?.pid ?? null;
  }

  /** @throws ListenError, CertificateError */
  async open(): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      throw this.describe(error);
    }
  }

  private describe(error: unknown): Error {
    if (!(error instanceof TerminatorError)) return error as Error;
    const { option, message, code } = error;
    const { config } = this;
    if (option === 'ciphers') {
      return new CertificateError(`Unable to set TLS ciphers "${config.ciphers}" with TLS-PSK: ${message}.`, {
        cause: error,
      });
    }
    const cause = option === 'listener' ? (code === 'EADDRINUSE' ? 'it is in use' : message) : `${HELPER} ${message}`;
    return new ListenError(`Cannot listen on ${placeOf(config)}: ${cause}.`, { cause: error });
  }

  private async start(): Promise<void> {
    const run = await this.openSocket();
    this.run = run;
    try {
      const { keys, node } = this.material;
      run.terminator = new TerminatorProcess(node, this.settings(run.folder), keys, {
        onFailure: (failure) => this.onFailure(failure),
        onEnd: (cause) => this.onEnd(run, cause),
      });
      this.port = await run.terminator.started();
    } catch (error) {
      this.finish(run);
      throw error;
    }
    if (this.isStopped) this.finish(run);
  }

  private async openSocket(): Promise<Run> {
    const folder = mkdtempSync(join(tmpdir(), 'martlet-psk-'));
    try {
      chmodSync(folder, 0o700);
      const unixPath = join(folder, SOCKET_NAME);
      const plain = { ...defaultListenerConfig(), port: 0, unixPath };
      const socket = await openListener(plain, this.handler);
      const { owner = null } = this.psk;
      if (owner !== null && process.getuid?.() === 0) {
        for (const path of [unixPath, folder]) chownSync(path, owner.uid, owner.gid);
      }
      return { folder, socket, startedAtMs: performance.now(), terminator: null, isOver: false };
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private settings(folder: string) {
    const { config, psk } = this;
    const tls12 = config.ciphers ?? DEFAULT_CIPHERS;
    return {
      host: config.host,
      port: this.port,
      folder,
      socketPath: join(folder, SOCKET_NAME),
      hint: psk.hint,
      ciphers: config.ciphersTls13 === null ? tls12 : `${config.ciphersTls13}:${tls12}`,
      dhparam: this.material.dhparam,
      minVersion: config.tlsVersion === 'tlsv1.3' ? 'TLSv1.3' : 'TLSv1.2',
      noDelay: config.setTcpNodelay,
      owner: psk.owner ?? null,
    } as const;
  }

  /** Lets go of everything of a run; the program itself ends in its own time. */
  private finish(run: Run): void {
    if (run.isOver) return;
    run.isOver = true;
    if (this.run === run) this.run = null;
    run.terminator?.close();
    run.socket.stop();
    rmSync(run.folder, { recursive: true, force: true });
  }

  private onFailure(failure: PskFailure): void {
    this.events.onFailure(failure.address ?? 'unknown', failure.port, causeOf(failure), failure);
  }

  private onEnd(run: Run, cause: string): void {
    if (run.isOver) return;
    const wasRunning = run.terminator!.port > 0;
    this.finish(run);
    // A start that fails tells who asked for it.
    if (!wasRunning || this.isStopped) return;
    const isSteady = performance.now() - run.startedAtMs >= STEADY_MS;
    this.delayMs = isSteady ? 0 : this.delayMs;
    this.events.onTrouble(`${HELPER} of port ${this.port} ${cause}: its clients are disconnected.`);
    this.startLater();
  }

  private startLater(): void {
    if (this.isStopped) return;
    this.restart = setTimeout(() => void this.startAgain(), this.delayMs);
    this.delayMs = Math.min(MAX_DELAY_MS, Math.max(FIRST_DELAY_MS, this.delayMs * 2));
  }

  private async startAgain(): Promise<void> {
    this.restart = null;
    try {
      await this.start();
      if (!this.isStopped) {
        this.events.onRecovery(`${HELPER} of port ${this.port} runs again (process ${this.helperPid}).`);
      }
    } catch (error) {
      if (this.isStopped) return;
      const again = this.delayMs < 1_000 ? 'soon' : `in ${this.delayMs / 1_000} s`;
      this.events.onTrouble(`${HELPER}: ${this.describe(error).message} Next try ${again}.`);
      this.startLater();
    }
  }

  async reload(file = this.psk.file): Promise<void> {
    const { keys, dhparam, warnings } = readPskFiles(this.config, file);
    this.psk = { ...this.psk, file };
    for (const line of describeProblems(warnings)) this.events.onWarning(line);
    this.material.keys = keys;
    this.material.dhparam = dhparam;
    await this.run?.terminator?.renew(keys, dhparam);
  }

  stop(): void {
    this.isStopped = true;
    if (this.restart !== null) clearTimeout(this.restart);
    this.restart = null;
    if (this.run !== null) this.finish(this.run);
  }
}

const HELPER = 'TLS-PSK helper';
const SOCKET_NAME = 'mqtt.sock';

/** For the log, in words of the configuration where that is possible. */
function causeOf({ identity, isKnown, reason, code }: PskFailure): string {
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'no TLS handshake in time';
  if (identity === null) {
    const hasNoKey = code === 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM' || code === 'ERR_SSL_NO_SHARED_CIPHER';
    return hasNoKey ? `${reason}: it offers no pre-shared key that this listener could take` : reason;
  }
  if (!isKnown) return `unknown PSK identity ${quoted(identity)}`;
  const isWrong = code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY' || code === 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC';
  return isWrong ? `wrong key for PSK identity ${quoted(identity)}` : `${reason} (PSK identity ${quoted(identity)})`;
}
