// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable/store.ts.
import type { Database, Statement } from 'bun:sqlite';
import { readNumber } from './sqlite-schema.ts';

const places = ['gone_a', 'gone_b'] as const;

/** The condition that a row of `delivery_row` is not gone. @param prefix of its columns: `d.`, or nothing */
export function waitsSql(prefix = ''): string {
  return places.map((place) => `${prefix}seq NOT IN temp.${place}`).join(' AND ');
}

/**
 * Deliveries that are deleted, and whose rows are not removed yet.
 *
 * Where ten thousand clients come back for a hundred messages each, the rows that they acknowledge lie all over the file:
 * to remove them one by one, as they come, takes 50 us each, for two pages that are read, logged and written back. Here a
 * batch notes its deletions in one row of `gone`, and the rows go later, in the order of their numbers, when several of
 * them share each page.
 *
 * A copy in memory answers which are gone. It is in two parts: one takes what comes, and the other is worked off; then
 * they change places, and the rows of `gone` that are behind the part that is done with are removed together.
 */
export class GoneDeliveries {
  private readonly db: Database;
  private readonly insert: Statement;
  private readonly forget: Statement;
  private readonly parts: readonly Part[];
  /** Index of the part that takes what comes; the other one is worked off. */
  private current = 0;
  /** What is worked off is in rows of `gone` up to this one. */
  private lastRow = 0;
  /** Noted in this transaction. */
  private noted: number[] = [];
  private countsBefore: readonly number[] = [0, 0];

  constructor(db: Database) {
    this.db = db;
    for (const place of places) db.run(`CREATE TEMP TABLE ${place} (seq INTEGER PRIMARY KEY)`);
    // A row that was removed before the process ended is in the list still, which does no harm.
    db.run(`INSERT OR IGNORE INTO temp.${places[0]} SELECT value FROM gone, json_each(gone.seqs)`);
    this.insert = db.prepare('INSERT INTO gone (seqs) VALUES (?)');
    this.forget = db.prepare('DELETE FROM gone WHERE id <= ?');
    this.parts = [new Part(db, places[0], places[1]), new Part(db, places[1], places[0])];
    this.parts[0]!.count = readNumber(db, `SELECT count(*) FROM temp.${places[0]}`);
  }

  get count(): number {
    return this.parts[0]!.count + this.parts[1]!.count;
  }

  /** A transaction begins. */
  begin(): void {
    this.countsBefore = this.parts.map(({ count }) => count);
    this.noted = [];
  }

  /** @returns whether it was not gone before */
  note(seq: number): boolean {
    if (!this.parts[this.current]!.add(seq)) return false;
    this.noted.push(seq);
    return true;
  }

  /** To be called before the transaction is committed. */
  write(): void {
    if (this.noted.length > 0) this.insert.run(JSON.stringify(this.noted));
  }

  /** The transaction was rolled back. */
  undo(): void {
    for (const [i, part] of this.parts.entries()) part.count = this.countsBefore[i]!;
  }

  /** Those with the lowest numbers of what is worked off, which are forgotten with this transaction. */
  take(limit: number): number[] {
    if (this.parts[1 - this.current]!.count === 0) {
      this.current = 1 - this.current;
      this.lastRow = readNumber(this.db, 'SELECT max(id) FROM gone');
    }
    const old = this.parts[1 - this.current]!;
    const seqs = old.take(limit);
    if (old.count === 0) this.forget.run(this.lastRow);
    return seqs;
  }
}

class Part {
  count = 0;
  private readonly insert: Statement;
  private readonly first: Statement;
  private readonly remove: Statement;

  constructor(db: Database, place: string, other: string) {
    this.insert = db.prepare(`INSERT OR IGNORE INTO temp.${place} SELECT ?1 WHERE ?1 NOT IN temp.${other}`);
    this.first = db.prepare(`SELECT seq FROM temp.${place} ORDER BY seq LIMIT ?`);
    this.remove = db.prepare(`DELETE FROM temp.${place} WHERE seq <= ?`);
  }

  add(seq: number): boolean {
    if (this.insert.run(seq).changes === 0) return false;
    this.count++;
    return true;
  }

  take(limit: number): number[] {
    const seqs = (this.first.values(limit) as [seq: number][]).map(([seq]) => seq);
    if (seqs.length > 0) this.remove.run(seqs.at(-1)!);
    this.count -= seqs.length;
    return seqs;
  }
}
