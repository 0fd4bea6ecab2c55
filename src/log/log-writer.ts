import { type LogFields, type Logger, LogType } from '../broker/log.ts';
import { topicLogTypes } from '../broker/log-topics.ts';
import type { LogConfig, LogDestination } from '../config/config.ts';
import { type LineFormat, lineFormat, typeBits } from './line-format.ts';
import { LogFile } from './log-file.ts';
import type { LogSink, WriteFunction } from './log-sink.ts';
import { openStream } from './log-stream.ts';
import { openSyslog, SYSLOG_PATH, SyslogFormat } from './syslog.ts';

/** What tests hand in. */
export interface LogWriterOptions {
  /** Wall clock milliseconds. */
  now?: () => number;
  write?: WriteFunction;
  syslogPath?: string;
}

type TopicPublisher = (type: LogType, line: string) => void;
type StreamName = 'stdout' | 'stderr';

/**
 * The log of a broker: lines as Mosquitto writes them, or JSON, to any of stderr, stdout, a file, syslog and topics.
 * Logging never blocks and never fails; see LogSink for what happens to a reader that does not read.
 */
export class LogWriter implements Logger {
  types = 0;
  private readonly now: () => number;
  private readonly write: WriteFunction | undefined;
  private readonly syslogPath: string;
  private format: LineFormat;
  private readonly syslogFormat = new SyslogFormat(null);
  private readonly streams = new Map<StreamName, LogSink>();
  private file: LogFile | null = null;
  private syslog: LogSink | null = null;
  private hasTopics = false;
  private publish: TopicPublisher | null = null;
  /** Those that a reload took away, until they have written what they had. */
  private retired: LogSink[] = [];
  /** Stderr, where it is no destination: for what no line of the log can tell. */
  private lastResort: LogSink | null = null;

  /** @throws LogError */
  constructor(config: LogConfig, { now = Date.now, write, syslogPath = SYSLOG_PATH }: LogWriterOptions = {}) {
    this.now = now;
    this.write = write;
    this.syslogPath = syslogPath;
    this.format = lineFormat(config);
    this.reconfigure(config);
  }

  /** Whether errors that are logged can be read on stderr. */
  get showsErrorsOnStderr(): boolean {
    return this.streams.has('stderr') && (this.types & LogType.error) !== 0;
  }

  log(type: LogType, line: string, fields?: LogFields): void {
    if ((this.types & type) === 0) return;
    const nowMs = this.now();
    const text = this.format.line(type, line, fields, nowMs);
    if (this.streams.size > 0 || this.file !== null) {
      const ended = `${text}\n`;
      for (const sink of this.streams.values()) sink.add(ended);
      this.file?.sink.add(ended);
    }
    this.syslog?.add(this.syslogFormat.line(type, text, nowMs));
    if (this.hasTopics && (type & topicLogTypes) !== 0) this.publish?.(type, text);
  }

  /**
   * Goes on as the configuration says: what it opens, what it no longer wants, and a file of the same name anew.
   *
   * @throws LogError; all stays as it was
   */
  reconfigure(config: LogConfig): void {
    const wanted = (kind: LogDestination['kind']) => config.destinations.some((one) => one.kind === kind);
    const path = config.destinations.find((one) => one.kind === 'file')?.path ?? null;
    // What may fail comes first.
    const oldFile = this.file;
    let file = oldFile;
    if (path === null) file = null;
    else if (oldFile?.path === path) oldFile.reopen();
    else file = new LogFile(path, this.lostLine, this.reportFile, this.write);
    let { syslog } = this;
    try {
      if (!wanted('syslog')) syslog = null;
      else syslog ??= openSyslog(this.syslogPath, this.lostSyslogLine, this.reportSyslog);
    } catch (error) {
      if (file !== oldFile) file?.sink.close();
      throw error;
    }

    if (oldFile !== null && oldFile !== file) this.retire(oldFile.sink);
    this.file = file;
    if (this.syslog !== null && syslog === null) this.retire(this.syslog);
    this.syslog = syslog;
    this.syslogFormat.facility = config.facility;
    for (const name of ['stdout', 'stderr'] as const) this.setStream(name, wanted(name));
    this.hasTopics = wanted('topic');
    this.format = lineFormat(config);
    const hasOthers = this.streams.size > 0 || file !== null || syslog !== null;
    // Where nobody reads it, no line need be built, and no address kept for one.
    this.types = typeBits(config.types) & (hasOthers ? ~0 : this.hasTopics ? topicLogTypes : 0);
  }

  private setStream(name: StreamName, isWanted: boolean): void {
    const sink = this.streams.get(name);
    if (isWanted && sink === undefined) this.streams.set(name, openStream(name, this.lostLine, this.write));
    if (isWanted || sink === undefined) return;
    this.streams.delete(name);
    this.retire(sink);
  }

  private retire(sink: LogSink): void {
    this.retired = this.retired.filter((one) => !one.isIdle);
    this.retired.push(sink);
    sink.close();
  }

  /** Where `log_dest topic` puts its lines, once there is a broker to publish them. */
  attachTopics(publish: TopicPublisher): void {
    this.publish = publish;
  }

  private readonly lostLine = (count: number): string =>
    `${this.format.line(LogType.warning, lostText(count), undefined, this.now())}\n`;

  private readonly lostSyslogLine = (count: number): string => {
    const nowMs = this.now();
    const text = this.format.line(LogType.warning, lostText(count), undefined, nowMs);
    return this.syslogFormat.line(LogType.warning, text, nowMs);
  };

  private readonly reportFile = (line: string): void => this.report(line, 'file');
  private readonly reportSyslog = (line: string): void => this.report(line, 'syslog');

  /** A destination is in trouble: the others tell of it, and stderr does in any case. */
  private report(line: string, origin: 'file' | 'syslog'): void {
    if (!this.streams.has('stderr')) {
      this.lastResort ??= openStream('stderr', this.lostLine, this.write);
      this.lastResort.add(`${line}\n`);
    }
    const nowMs = this.now();
    const text = this.format.line(LogType.warning, line, undefined, nowMs);
    for (const sink of this.streams.values()) sink.add(`${text}\n`);
    if (origin !== 'file') this.file?.sink.add(`${text}\n`);
    if (origin !== 'syslog') this.syslog?.add(this.syslogFormat.line(LogType.warning, text, nowMs));
    if (this.hasTopics) this.publish?.(LogType.warning, text);
  }

  /**
   * Opens the log file anew, for whoever moves log files away. Answers its path; null where there is no file.
   *
   * @throws LogError; the log goes on where it was
   */
  reopen(): string | null {
    this.file?.reopen();
    return this.file?.path ?? null;
  }

  /** Resolves once all lines are written, or after that time. */
  async flush(timeoutMs = 200): Promise<void> {
    const sinks = [...this.streams.values(), ...this.retired];
    for (const sink of [this.file?.sink, this.syslog, this.lastResort]) if (sink) sinks.push(sink);
    await Promise.all(sinks.map((sink) => sink.flush(timeoutMs)));
  }
}

function lostText(count: number): string {
  return `Warning: ${count} ${count === 1 ? 'line' : 'lines'} of this log lost: they could not be written.`;
}
