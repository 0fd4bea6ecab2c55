import type { Session } from './session.ts';
import type { WheelItem } from './timer-wheel.ts';

/**
 * The deadlines of a session whose client is away: an object of its own, so that sessions with a connection do not
 * carry them. Seconds are monotonic; -1 where there is none.
 */
export class Absence implements WheelItem {
  readonly session: Session;
  /** When the session ends (Session Expiry Interval). */
  readonly expiresAtSecond: number;
  /** When the will goes out (Will Delay Interval). */
  willAtSecond: number;
  wheelSecond = -1;
  wheelIndex = 0;

  constructor(session: Session, expiresAtSecond: number, willAtSecond: number) {
    this.session = session;
    this.expiresAtSecond = expiresAtSecond;
    this.willAtSecond = willAtSecond;
  }

  /** The next deadline, -1 where the session waits for ever. */
  get dueSecond(): number {
    const { expiresAtSecond: expiry, willAtSecond: will } = this;
    return will >= 0 && (expiry < 0 || will < expiry) ? will : expiry;
  }
}
