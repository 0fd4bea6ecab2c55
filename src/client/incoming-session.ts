interface LateAcknowledgement {
  readonly qos: number;
  /** -1 until the application has answered. */
  reasonCode: number;
}

/** Sends PUBACK or PUBREC. */
export interface AcknowledgementSender {
  sendAcknowledgement(packetId: number, qos: number, reasonCode: number): void;
}

/**
 * The receiving half of a client's session state (v5 section 4.1). Made once the client needs it: one that receives
 * QoS 0, or QoS 1 acknowledged at once, has none.
 */
export class IncomingSession {
  /** QoS 2 messages handed to the application, waiting for PUBREL. */
  readonly received = new Set<number>();
  /** By packet identifier, in the order of the messages: acknowledgements that wait for the application. */
  private readonly late = new Map<number, LateAcknowledgement>();

  /** Packet identifiers of ours the server may count against our Receive Maximum. */
  get unfinished(): number {
    return this.received.size + this.late.size;
  }

  get hasLate(): boolean {
    return this.late.size > 0;
  }

  isLate(packetId: number): boolean {
    return this.late.has(packetId);
  }

  /** @param reasonCode -1 where the application answers later */
  addLate(packetId: number, qos: number, reasonCode: number): void {
    this.late.set(packetId, { qos, reasonCode });
  }

  /**
   * The application's answer.
   *
   * @param sender null without a connection: `flush` sends it on the next
   */
  answer(packetId: number, reasonCode: number, sender: AcknowledgementSender | null): void {
    const answered = this.late.get(packetId);
    if (answered === undefined || answered.reasonCode >= 0) return;
    answered.reasonCode = reasonCode;
    if (sender !== null) this.flush(sender);
  }

  /** Sends all acknowledgements up to the first that is still open. */
  flush(sender: AcknowledgementSender): void {
    for (const [packetId, { qos, reasonCode }] of this.late) {
      if (reasonCode < 0) return;
      this.late.delete(packetId);
      sender.sendAcknowledgement(packetId, qos, reasonCode);
    }
  }
}
