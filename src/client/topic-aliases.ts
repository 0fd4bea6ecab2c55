import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode } from '../protocol/reason-code.ts';

/** Aliases the server made on this connection (v5 section 3.3.2.3.4). */
export class IncomingAliases {
  private readonly maximum: number;
  private readonly topics = new Map<number, Uint8Array>();

  constructor(maximum: number) {
    this.maximum = maximum;
  }

  /** @throws ProtocolError 0x94 for an alias of 0 or above what we allow */
  set(alias: number, bytes: Uint8Array, start: number, end: number): void {
    this.check(alias);
    this.topics.set(alias, bytes.slice(start, end));
  }

  /** @throws ProtocolError 0x94 as above; 0x82 for one that stands for nothing yet */
  get(alias: number): Uint8Array {
    this.check(alias);
    const topic = this.topics.get(alias);
    if (topic !== undefined) return topic;
    throw new ProtocolError(ReasonCode.protocolError, `topic alias ${alias} was never set`, 'v5 section 3.3.4');
  }

  private check(alias: number): void {
    if (alias > 0 && alias <= this.maximum) return;
    throw new ProtocolError(
      ReasonCode.topicAliasInvalid,
      `topic alias ${alias} is not between 1 and ${this.maximum}`,
      alias === 0 ? 'v5 [MQTT-3.3.2-8]' : 'v5 [MQTT-3.1.2-26]',
    );
  }
}

/** Aliases we make on this connection: the first topics get them, since a publisher mostly has few and steady ones. */
export class OutgoingAliases {
  private readonly maximum: number;
  private readonly aliases = new Map<string, number>();

  constructor(maximum: number) {
    this.maximum = maximum;
  }

  /** 0 where the topic has no alias yet. */
  find(topicName: string): number {
    return this.aliases.get(topicName) ?? 0;
  }

  /** The alias to introduce with the next packet; 0 where there is none left. */
  get next(): number {
    return this.aliases.size < this.maximum ? this.aliases.size + 1 : 0;
  }

  /** The packet that introduces the alias has been sent. */
  add(topicName: string, alias: number): void {
    this.aliases.set(topicName, alias);
  }
}
