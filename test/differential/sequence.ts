/** Sequences as data: what clients do, one step after the other, with no word about what should come back. */
import { type Bytes, bytes, type Connect, connect } from './bytes.ts';

/** Configurations of the broker that a sequence may run against; see `broker-pair.ts`. */
export type BrokerKind =
  | 'default'
  | 'alone'
  | 'inflight-1'
  | 'packet-40'
  | 'payload-1'
  | 'qos-1-no-retain'
  | 'keepalive-60'
  | 'no-empty-id'
  | 'no-alias'
  | 'queue-3'
  | 'queue-qos0'
  | 'queue-100-bytes'
  | 'upgrade-qos'
  | 'duplicates';

/** What ends a step. */
export type Then =
  /** An answer to a PINGREQ sent behind: all that was sent has been handled. The next packet may not be a PINGRESP. */
  | 'ping'
  /** The first packet that comes, or the end of the connection. */
  | 'packet'
  /** The end of the connection. */
  | 'close'
  /** Nothing: more is to come. */
  | 'nothing';

export type Step =
  | { readonly act: 'open'; readonly client: string }
  | { readonly act: 'send'; readonly client: string; readonly bytes: Uint8Array; readonly then: Then }
  /** The client's socket closes, without DISCONNECT. */
  | { readonly act: 'drop'; readonly client: string }
  /** Waits until the client has got so many packets more, or is told of the end of its connection. */
  | { readonly act: 'await'; readonly client: string; readonly packets: number; readonly limitMs: number }
  | { readonly act: 'await-close'; readonly client: string; readonly limitMs: number }
  | { readonly act: 'pause'; readonly ms: number };

export interface Sequence {
  readonly name: string;
  readonly broker: BrokerKind;
  /** Six characters that stand in its client identifiers and topics, so that sequences can run side by side. */
  readonly tag: string;
  readonly steps: readonly Step[];
  /** Clients whose packets come in an order that no standard and no reader depends on. */
  readonly unordered: readonly string[];
  /** Clients are not asked by PINGREQ whether they have got everything: it would count as a sign of life. */
  readonly isQuiet: boolean;
}

const AWAIT_LIMIT_MS = 3_000;

/** Writes the steps of one sequence. */
export class Script {
  readonly tag: string;
  readonly steps: Step[] = [];
  unordered: string[] = [];
  isQuiet = false;

  constructor(tag: string) {
    this.tag = tag;
  }

  /** A topic of this sequence alone. */
  topic(name: string): string {
    return `${this.tag}/${name}`;
  }

  open(client: string): void {
    this.steps.push({ act: 'open', client });
  }

  /** Opens a connection and sends CONNECT; its client identifier is the tag and `client` unless given. */
  connect(client: string, options: Connect = {}, then: Then = 'packet'): void {
    this.open(client);
    this.send(client, connect({ clientId: this.tag + client, ...options }), then);
  }

  send(client: string, what: Bytes, then: Then = 'ping'): void {
    this.steps.push({ act: 'send', client, bytes: bytes(what), then });
  }

  /** Sends what should end the connection. */
  fatal(client: string, what: Bytes): void {
    this.send(client, what, 'close');
  }

  drop(client: string): void {
    this.steps.push({ act: 'drop', client });
  }

  await(client: string, packets = 1, limitMs = AWAIT_LIMIT_MS): void {
    this.steps.push({ act: 'await', client, packets, limitMs });
  }

  awaitClose(client: string, limitMs = AWAIT_LIMIT_MS): void {
    this.steps.push({ act: 'await-close', client, limitMs });
  }

  pause(ms: number): void {
    this.steps.push({ act: 'pause', ms });
  }
}

export interface SequenceOptions {
  broker?: BrokerKind;
}

/** A list of sequences, each with a name of its own. */
export class SequenceList {
  readonly sequences: Sequence[] = [];

  add(name: string, write: (script: Script) => void, { broker = 'default' }: SequenceOptions = {}): void {
    const script = new Script(tagOf(name));
    write(script);
    const { tag, steps, unordered, isQuiet } = script;
    this.sequences.push({ name, broker, tag, steps, unordered, isQuiet });
  }
}

/** Depends on the name alone, so that a transcript stays the same when sequences come and go. */
function tagOf(name: string): string {
  const text = (BigInt(Bun.hash.xxHash64(name)) % 36n ** 6n).toString(36).padStart(6, '0');
  return text.toUpperCase();
}
