// SIGHUP: the configuration, and every file that it names, is read anew.
import { LogType } from '../broker/log.ts';
import type { Config } from '../config/config.ts';
import { compareConfigs } from '../config/config-changes.ts';
import { ConfigError, describeProblems } from '../config/config-error.ts';
import type { ParsedConfig } from '../config/parse-config.ts';
import { LogError } from '../log/log-error.ts';
import type { LogWriter } from '../log/log-writer.ts';
import type { RunningBroker } from './running-broker.ts';

/**
 * Takes over what a running broker can. No connection is ended for it but those of users who are no longer let in, and a
 * mistake in a file costs no more than that file's changes: they are told in the log, and what held goes on to hold.
 */
export class ConfigReloader {
  private readonly broker: Pick<RunningBroker, 'reconfigure'>;
  private readonly log: LogWriter;
  private readonly read: () => ParsedConfig | null;
  /** What holds now; its listeners are those that are open. */
  private running: Config;
  private underWay: Promise<void> | null = null;
  private isAskedAgain = false;

  /** @param read the configuration as the files say now, as it was made at the start; null: there are no files */
  constructor(
    running: Config,
    broker: Pick<RunningBroker, 'reconfigure'>,
    log: LogWriter,
    read: () => ParsedConfig | null,
  ) {
    this.running = running;
    this.broker = broker;
    this.log = log;
    this.read = read;
  }

  /** Signals that come while one is acted on bring about one more reload. Resolves when all is done. */
  async reload(): Promise<void> {
    this.isAskedAgain = true;
    this.underWay ??= this.work();
    await this.underWay;
  }

  private async work(): Promise<void> {
    try {
      while (this.isAskedAgain) {
        this.isAskedAgain = false;
        await this.reloadOnce();
      }
    } finally {
      this.underWay = null;
    }
  }

  private async reloadOnce(): Promise<void> {
    const { log } = this;
    log.log(LogType.information, 'Reloading config.');
    const next = this.readFiles();
    const changes = next === null ? null : compareConfigs(this.running, next);
    const problems = this.reopenLog(changes?.config ?? this.running);
    problems.push(...(await this.broker.reconfigure(changes?.config ?? this.running)));
    if (changes !== null) this.running = changes.config;
    for (const name of changes?.waiting ?? []) {
      log.log(LogType.warning, `Warning: ${name} changed in the configuration, which takes effect at the next start.`);
    }
    for (const line of problems) log.log(LogType.error, `Error: ${line}`);
    if (problems.length > 0) log.log(LogType.error, 'Error: SIGHUP: what these lines tell of stays as it was.');
    else {
      const what = changes === null ? 'Users' : 'Configuration, users';
      log.log(LogType.information, `SIGHUP: ${what}, access rules and certificates read anew.`);
    }
  }

  /** Null where there are none, or they are refused: then the names of all other files are those of before. */
  private readFiles(): Config | null {
    const { log } = this;
    try {
      const parsed = this.read();
      for (const line of parsed?.notices ?? []) log.log(LogType.notice, line);
      return parsed?.config ?? null;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const line of describeProblems(error.problems)) log.log(LogType.error, `Error: ${line}`);
      log.log(LogType.error, 'Error: SIGHUP: the configuration stays as it was.');
      return null;
    }
  }

  /** The log goes first: what follows is told in the new one. */
  private reopenLog(config: Config): string[] {
    try {
      this.log.reconfigure(config.log);
      return [];
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      return [error.message];
    }
  }
}
