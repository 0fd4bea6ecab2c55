import { LogType } from '../broker/log.ts';
import { systemErrorText } from '../config/parse-config.ts';
import { LogSink } from './log-sink.ts';
import { UnixDatagramSocket } from './unix-datagram.ts';

/** Where the syslog daemon of a machine listens. */
export const SYSLOG_PATH = '/dev/log';
/** What lines are found under, as with openlog(3). */
const IDENTIFIER = 'martlet';

/** Facilities of RFC 3164 section 4.1.1. */
const DAEMON = 3;
const LOCAL_0 = 16;

/** Severities of RFC 3164 section 4.1.1, those that Mosquitto gives its types. */
const severities: Readonly<Record<LogType, number>> = {
  [LogType.error]: 3,
  [LogType.warning]: 4,
  [LogType.notice]: 5,
  [LogType.information]: 6,
  [LogType.debug]: 7,
  [LogType.subscribe]: 5,
  [LogType.unsubscribe]: 5,
  [LogType.websockets]: 7,
  [LogType.internal]: 3,
};

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const LF = 0x0a;
/** Lines sent before other work has its turn. */
const SLICE = 200;

/** `<PRI>Mmm dd hh:mm:ss martlet[PID]: text`: RFC 3164 as the C library's syslog() writes it to a socket of the machine. */
export class SyslogFormat {
  /** `log_facility`; null: daemon. */
  facility: number | null;
  private second = -1;
  private stamp = '';

  constructor(facility: number | null) {
    this.facility = facility;
  }

  line(type: LogType, text: string, nowMs: number): string {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.second) {
      this.second = second;
      this.stamp = `${localTime(new Date(nowMs))} ${IDENTIFIER}[${process.pid}]: `;
    }
    const facility = this.facility === null ? DAEMON : LOCAL_0 + this.facility;
    return `<${facility * 8 + severities[type]}>${this.stamp}${text}\n`;
  }
}

function localTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = String(date.getDate()).padStart(2, ' ');
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${months[date.getMonth()]} ${day} ${time}`;
}

/**
 * The syslog daemon as a sink: each line is a datagram. Nobody waits for a daemon that does not read, and one that is not
 * there, or is started anew, is looked for each second.
 *
 * @param onTrouble called with a line for the operator when the daemon cannot be reached
 * @throws LogError where this system has no such sockets
 */
export function openSyslog(
  path: string,
  lostLine: (count: number) => string,
  onTrouble: (line: string) => void,
): LogSink {
  const socket = new UnixDatagramSocket(path);
  return new LogSink(-1, {
    lostLine,
    closeFd: () => socket.close(),
    canRecover: true,
    onTrouble: (error) =>
      onTrouble(
        `Warning: syslog cannot be reached at ${path}: ${systemErrorText(error)}. ` +
          'Lines are dropped and counted until it can.',
      ),
    write(_fd, bytes, offset, length, done) {
      let sent = 0;
      let error: NodeJS.ErrnoException | null = null;
      for (let lines = 0; sent < length && lines < SLICE && error === null; lines++) {
        const start = offset + sent;
        const end = bytes.indexOf(LF, start);
        error = socket.send(bytes.subarray(start, end));
        // A line that no daemon takes for its length would stand in the way of all others.
        if (error === null || error.code === 'EMSGSIZE') sent += end + 1 - start;
        if (error !== null && error.code === 'EMSGSIZE') error = null;
      }
      if (sent === 0) done(error, 0);
      else if (sent === length) done(null, sent);
      else setImmediate(() => done(null, sent));
    },
  });
}
