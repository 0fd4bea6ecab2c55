/** The brokers that a run compares, as data: how to find one, start it, and what its configuration file says. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CertificateFiles } from './certificate.ts';

export interface BrokerSettings {
  port: number;
  /** Null for a plain listener. */
  certificate: CertificateFiles | null;
}

export interface Target {
  name: string;
  /** Why it cannot run here, in one line for the user; null where it can. */
  missing(): string | null;
  command(configFile: string): string[];
  version(): string;
  /** Lines of its configuration file beyond those that all targets share. */
  extraLines: readonly string[];
}

const projectRoot = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Queues far above every flow's window, so that neither broker has reason to drop; an in-flight window above that of
 * the QoS 1 flow, so that neither has reason to queue; and no log, which connects would pay for.
 */
const sharedLines = [
  'allow_anonymous true',
  'max_inflight_messages 100',
  'max_queued_messages 100000',
  'log_dest none',
];

export function configText(target: Target, settings: BrokerSettings): string {
  const lines = [`listener ${settings.port} 127.0.0.1`];
  if (settings.certificate !== null) {
    lines.push(`certfile ${settings.certificate.certFile}`, `keyfile ${settings.certificate.keyFile}`);
  }
  return [...lines, ...sharedLines, ...target.extraLines, ''].join('\n');
}

const martletMain = `${projectRoot}src/cli/main.ts`;

const martlet: Target = {
  name: 'martlet',
  missing: () => (existsSync(martletMain) ? null : 'src/cli/main.ts is not there'),
  command: (configFile) => [process.execPath, martletMain, 'broker', '-c', configFile],
  version: () => {
    const text = readFileSync(`${projectRoot}package.json`, 'utf8');
    return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? 'unknown';
  },
  extraLines: [],
};

/** Debian puts it in /usr/sbin, which the PATH of an ordinary user may lack. */
function mosquittoProgram(): string | null {
  return Bun.which('mosquitto') ?? Bun.which('mosquitto', { PATH: '/usr/sbin:/usr/local/sbin' });
}

/** `user root` has effect only under root, where it keeps the bench's files readable. */
const mosquittoLines = ['persistence false', 'user root'];

function mosquittoTarget(name: string, extraLines: readonly string[]): Target {
  return {
    name,
    missing: () => (mosquittoProgram() === null ? 'no mosquitto program (Debian: apt-get install mosquitto)' : null),
    command: (configFile) => [mosquittoProgram() ?? 'mosquitto', '-c', configFile],
    version: () => {
      const help = Bun.spawnSync([mosquittoProgram() ?? 'mosquitto', '-h']).stdout.toString();
      return /mosquitto version (\S+)/.exec(help)?.[1] ?? 'unknown';
    },
    extraLines: [...mosquittoLines, ...extraLines],
  };
}

export const targets: readonly Target[] = [
  martlet,
  // As Bun's sockets always have it.
  mosquittoTarget('mosquitto', ['set_tcp_nodelay true']),
  // As it comes: less CPU for pipelined small packets, and 40 ms more in a TLS connect.
  mosquittoTarget('mosquitto-nagle', []),
];

/** Throws one line that says which names exist, or why a broker cannot run here. */
export function findTargets(names: readonly string[]): Target[] {
  if (names.length === 0) throw new Error('no target given');
  return names.map((name) => {
    const target = targets.find((candidate) => candidate.name === name);
    if (target === undefined) {
      throw new Error(`no broker is named "${name}"; there are: ${targets.map((known) => known.name).join(', ')}`);
    }
    const missing = target.missing();
    if (missing !== null) throw new Error(`cannot run ${name}: ${missing}`);
    return target;
  });
}
