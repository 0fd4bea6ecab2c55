// What `martlet db inspect --client` tells of one session: the queries.
import type { Database } from 'bun:sqlite';

export interface InspectedSubscription {
  readonly filter: string;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0: none. */
  readonly identifier: number;
}

export interface InspectedMessage {
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payloadBytes: number;
  readonly publisherId: string;
  /** Wall clock milliseconds; 0: never. */
  readonly expiresAtMs: number;
}

export interface InspectedDelivery extends InspectedMessage {
  readonly number: number;
  readonly packetId: number;
  readonly state: 'sent' | 'released' | 'queued';
  /** 0: none. */
  readonly identifier: number;
  /** Null: it came by a subscription of its own. */
  readonly shared: string | null;
}

export interface InspectedIncoming {
  readonly packetId: number;
  /** Null: it was refused, and only its flow goes on. */
  readonly message: InspectedMessage | null;
}

export interface ClientInspection {
  readonly clientId: string;
  readonly protocolVersion: number;
  readonly username: string | null;
  /** Seconds; 4294967295: never. */
  readonly expiryInterval: number;
  /** Wall clock milliseconds; 0: it had a connection when this was written. */
  readonly awaySinceMs: number;
  readonly will: (InspectedMessage & { readonly delayInterval: number }) | null;
  readonly subscriptions: readonly InspectedSubscription[];
  readonly deliveries: {
    readonly total: number;
    readonly inFlight: number;
    readonly bytes: number;
    /** The first ones, in order. */
    readonly first: readonly InspectedDelivery[];
  };
  readonly incoming: readonly InspectedIncoming[];
}

interface SessionRow {
  id: number;
  protocol_version: number;
  username: string | null;
  expiry_interval: number;
  away_since_ms: number;
  sent_seq: number;
}

interface MessageRow {
  topic: string;
  flags: number;
  payload_bytes: number;
  publisher: string;
  expires_ms: number;
}

const messageColumns = 'topic, length(payload) AS payload_bytes, publisher';

/** Null where there is no session of the client. @param limit most deliveries to list */
export function inspectClient(db: Database, clientId: string, limit: number): ClientInspection | null {
  // All of one moment.
  db.run('BEGIN');
  try {
    const session = db.prepare<SessionRow, [string]>('SELECT * FROM session WHERE client_id = ?').get(clientId);
    if (session === null) return null;
    const { id, sent_seq: sentSeq } = session;
    return {
      clientId,
      protocolVersion: session.protocol_version,
      username: session.username,
      expiryInterval: session.expiry_interval,
      awaySinceMs: session.away_since_ms,
      will: willOf(db, id),
      subscriptions: subscriptionsOf(db, id),
      deliveries: deliveriesOf(db, id, sentSeq, limit),
      incoming: incomingOf(db, id),
    };
  } finally {
    db.run('COMMIT');
  }
}

function willOf(db: Database, sessionId: number): ClientInspection['will'] {
  const row = db
    .prepare<MessageRow & { delay_interval: number }, [number]>(
      `SELECT ${messageColumns}, flags, expires_ms, delay_interval FROM will WHERE session = ?`,
    )
    .get(sessionId);
  return row === null ? null : { ...messageOf(row), delayInterval: row.delay_interval };
}

function subscriptionsOf(db: Database, sessionId: number): InspectedSubscription[] {
  return db
    .prepare<{ filter: string; flags: number; identifier: number }, [number]>(
      'SELECT filter, flags, identifier FROM subscription WHERE session = ? ORDER BY filter',
    )
    .all(sessionId)
    .map(({ filter, flags, identifier }) => ({
      filter,
      qos: flags & 3,
      noLocal: (flags & 4) !== 0,
      retainAsPublished: (flags & 8) !== 0,
      identifier,
    }));
}

/** There is no index by session: one walk counts, another one lists and ends early. */
function deliveriesOf(db: Database, sessionId: number, sentSeq: number, limit: number): ClientInspection['deliveries'] {
  const sums = db
    .prepare<{ total: number; inFlight: number | null; bytes: number | null }, [number, number]>(
      'SELECT count(*) AS total, sum(seq <= ?) AS inFlight, sum(size) AS bytes FROM delivery WHERE session = ?',
    )
    .get(sentSeq, sessionId)!;
  const rows = db
    .prepare<
      MessageRow & {
        seq: number;
        delivery_flags: number;
        packet_id: number;
        identifier: number;
        shared: string | null;
      },
      [number, number]
    >(
      `SELECT ${messageColumns}, seq, delivery.flags AS delivery_flags, message.flags AS flags, packet_id, identifier, shared, ` +
        'delivery.expires_ms AS expires_ms FROM delivery JOIN message ON message.id = message WHERE session = ? ' +
        'ORDER BY seq LIMIT ?',
    )
    .all(sessionId, limit);
  const first = rows.map((row) => {
    const flags = row.delivery_flags;
    const state = row.seq > sentSeq ? 'queued' : (flags & 8) !== 0 ? 'released' : 'sent';
    return {
      number: row.seq,
      ...messageOf(row),
      qos: flags & 3,
      retain: (flags & 4) !== 0,
      packetId: row.packet_id,
      state,
      identifier: row.identifier,
      shared: row.shared,
    } as const;
  });
  return { total: sums.total, inFlight: sums.inFlight ?? 0, bytes: sums.bytes ?? 0, first };
}

function incomingOf(db: Database, sessionId: number): InspectedIncoming[] {
  return db
    .prepare<{ packet_id: number } & { [K in keyof MessageRow]: MessageRow[K] | null }, [number]>(
      `SELECT packet_id, ${messageColumns}, flags, expires_ms FROM incoming ` +
        'LEFT JOIN message ON message.id = message WHERE session = ? ORDER BY packet_id',
    )
    .all(sessionId)
    .map((row) => ({
      packetId: row.packet_id,
      message: row.topic === null ? null : messageOf(row as MessageRow),
    }));
}

function messageOf({ topic, flags, payload_bytes, publisher, expires_ms }: MessageRow): InspectedMessage {
  return {
    topic,
    qos: flags & 3,
    retain: (flags & 4) !== 0,
    payloadBytes: payload_bytes,
    publisherId: publisher,
    expiresAtMs: expires_ms,
  };
}
