import type { Backlog } from '../transport/backlog.ts';
import type { Congestion } from './congestion.ts';
import type { TopicAliases } from './topic-aliases.ts';

/** Maximum Packet Size of a client that names none: every packet fits. */
export const NO_MAXIMUM = 0xffff_ffff;

/** What a connection has only where it differs from most. */
export class ConnectionExtras {
  window: number;
  maximumPacketSize = NO_MAXIMUM;
  aliasMaximum = 0;
  aliases: TopicAliases | null = null;
  wantsProblemInformation = true;
  congestion: Congestion | null = null;
  pausedBy = 0;
  /** Bytes read but not handled yet, while paused. */
  held: Backlog | null = null;
  /** Bytes of answers that wait behind frames the client does not read; -1: too many, its packets are not read. */
  unreadAnswers = 0;
  isBridge = false;
  /** From the PROXY header, or kept for the log. */
  address: string | null = null;
  port = 0;
  transportUsername: string | null = null;

  constructor(window: number) {
    this.window = window;
  }
}
