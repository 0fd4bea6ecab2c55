import type { ReasonCode } from './reason-code.ts';

/**
 * A peer broke the protocol: the connection ends. `reasonCode` is what an MQTT 5 peer is told, `message` is for the
 * log, `clause` is the normative statement that was broken (such as `v5 [MQTT-3.1.2-3]`) or the section it stands in.
 */
export class ProtocolError extends Error {
  readonly reasonCode: ReasonCode;
  readonly clause: string;

  constructor(reasonCode: ReasonCode, message: string, clause: string) {
    super(message);
    this.name = 'ProtocolError';
    this.reasonCode = reasonCode;
    this.clause = clause;
  }
}
