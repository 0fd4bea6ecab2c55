/** Time as the session and broker layers see it, so that tests can move it. */
export interface Clock {
  /** Milliseconds since 1970, for what is written down: expiry of messages, logs. */
  wallMs(): number;
  /** Milliseconds since some start, never going back: keep alive, timeouts, delays. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
