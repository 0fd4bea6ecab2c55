import { checkRuleFiles } from '../broker/file-rules.ts';
import type { Config } from '../config/config.ts';
import { ConfigError, type ConfigProblem } from '../config/config-error.ts';
import { loadConfig } from '../config/parse-config.ts';
import { readPskFiles } from '../transport/psk/psk-listener.ts';
import { CertificateError } from '../transport/tls/certificate-error.ts';
import { ListenerTls } from '../transport/tls/listener-tls.ts';
import { ExitStatus } from './exit-status.ts';
import { describeStartFailure } from './failure.ts';

/**
 * `--test-config`: what can be told without opening a port: the configuration, and every file it names that the broker
 * would read at its start.
 *
 * @returns exit status: the one that the start would end with
 * @throws ConfigError where the configuration itself is refused
 */
export function testConfig(files: readonly string[]): number {
  const { config, notices } = loadConfig(...files);
  for (const line of notices) tell(line);
  const statuses = [checkRules(config), checkPsk(config), checkCertificates(config)];
  const status = statuses.find((one) => one !== ExitStatus.success) ?? ExitStatus.success;
  if (status === ExitStatus.success) process.stdout.write(`Configuration file ${files.join(' and ')} is OK.\n`);
  return status;
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

function warn({ file, line, text }: ConfigProblem): void {
  tell(`Warning: ${line === null ? file : `${file}:${line}`}: ${text}`);
}

/** Runs a check that answers with warnings, and tells what came of it. */
function check(read: () => readonly ConfigProblem[]): number {
  try {
    for (const one of read()) warn(one);
    return ExitStatus.success;
  } catch (error) {
    if (error instanceof CertificateError) {
      tell(`Error: ${error.message}`);
      return ExitStatus.failure;
    }
    const failure = error instanceof ConfigError ? describeStartFailure(error) : null;
    if (failure === null) throw error;
    tell(failure.text);
    return failure.status;
  }
}

function checkRules(config: Config): number {
  return check(() => checkRuleFiles(config));
}

function checkPsk({ security, listeners }: Config): number {
  const statuses = listeners.map((listener) => {
    const { pskFile } = listener.security ?? security;
    if (listener.pskHint === null || pskFile === null) return ExitStatus.success;
    return check(() => readPskFiles(listener, pskFile).warnings);
  });
  return statuses.find((one) => one !== ExitStatus.success) ?? ExitStatus.success;
}

function checkCertificates({ listeners }: Config): number {
  const statuses = listeners
    .filter(({ certfile }) => certfile !== null)
    .map((listener) => check(() => (new ListenerTls(listener, (line) => tell(line)), [])));
  return statuses.find((one) => one !== ExitStatus.success) ?? ExitStatus.success;
}
