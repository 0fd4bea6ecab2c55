/** Exit statuses, as Mosquitto has them. */
export const ExitStatus = {
  success: 0,
  /** A port, a file or a certificate cannot be had; an unknown command. */
  failure: 1,
  /** The configuration or the command line is refused. */
  refused: 3,
  /** A plugin, or a file of users or rules, cannot be loaded; the broker was asked for its help or its version. */
  unknown: 13,
} as const;
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];
