import { type LogFields, LogType } from '../broker/log.ts';
import { type LogConfig, LogFormat } from '../config/config.ts';
import { formatTime } from './strftime.ts';

const typeNames = new Map<LogType, string>(Object.entries(LogType).map(([name, type]) => [type, name]));

/** The bits of `log_type`. */
export function typeBits(names: ReadonlySet<string>): number {
  let bits = 0;
  for (const [type, name] of typeNames) if (names.has(name)) bits |= type;
  return bits;
}

/** Makes a line of the log, without its line break, out of a text and what belongs to it. */
export interface LineFormat {
  line(type: LogType, text: string, fields: LogFields | undefined, nowMs: number): string;
}

export function lineFormat(config: LogConfig): LineFormat {
  return config.format === LogFormat.json
    ? new JsonFormat(config.timestamp)
    : new TextFormat(config.timestamp, config.timestampFormat);
}

/** `1700000000: text`, as Mosquitto has it; the time changes once a second. */
class TextFormat implements LineFormat {
  private readonly hasTimestamp: boolean;
  private readonly timestampFormat: string | null;
  private second = -1;
  private stamp = '';

  constructor(hasTimestamp: boolean, timestampFormat: string | null) {
    this.hasTimestamp = hasTimestamp;
    this.timestampFormat = timestampFormat;
  }

  line(_type: LogType, text: string, _fields: LogFields | undefined, nowMs: number): string {
    if (!this.hasTimestamp) return text;
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.second) {
      this.second = second;
      const { timestampFormat } = this;
      this.stamp = `${timestampFormat === null ? second : formatTime(timestampFormat, new Date(nowMs))}: `;
    }
    return this.stamp + text;
  }
}

/** One object a line: `time` (RFC 3339, UTC), `level`, `message`, then what the line is about. */
class JsonFormat implements LineFormat {
  private readonly hasTimestamp: boolean;

  constructor(hasTimestamp: boolean) {
    this.hasTimestamp = hasTimestamp;
  }

  line(type: LogType, text: string, fields: LogFields | undefined, nowMs: number): string {
    return JSON.stringify({
      ...(this.hasTimestamp ? { time: new Date(nowMs).toISOString() } : {}),
      level: typeNames.get(type),
      message: text.replaceAll('\t', ' ').trim(),
      ...fields,
    });
  }
}
