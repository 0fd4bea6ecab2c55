// Checks passwords against hashes that are made to be slow, without letting them slow down the event loop.
import { availableParallelism } from 'node:os';
import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import { Deque } from '../session/deque.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { LoginAnswer } from './access-control.ts';
import type { PasswordFile, User } from './password-file.ts';
import { checkCostMs, checkPassword, checkPasswordNow, HashKind, type PasswordHash } from './password-hash.ts';

export interface PasswordCheckerOptions {
  /** Checks under way at once on other threads; argon2id takes its memory for each. */
  readonly concurrency: number;
  /** A login that would wait longer than about this is refused with `serverBusy`. */
  readonly longestWaitMs: number;
  /** Time for the budget of checks on the event loop; never goes back. */
  readonly nowMs: () => number;
}

/** What takes no longer than PBKDF2 with some 250 iterations (Mosquitto 2.0: 101) is checked at once. */
const QUICK_MS = 0.2;
/** Of each window, checks may take the event loop this long; what comes on top waits its turn on another thread. */
const WINDOW_MS = 10;
const BUDGET_MS = 4;
/** What takes no longer than one SHA-512 needs no budget. */
const FREE_MS = 0.01;

const always = (): boolean => true;

/** A check that waits or is under way, for all that asked for the same. */
class Job {
  readonly user: User;
  /** A copy, wiped after use. */
  readonly password: Uint8Array;
  readonly costMs: number;
  /** One of each that asked. */
  readonly wanted: (() => boolean)[] = [];
  /** Null: not checked, since nobody wanted it any more or memory is short. */
  readonly result: Promise<boolean | null>;
  readonly settle: (isRight: boolean | null) => void;

  constructor(user: User, password: Uint8Array, costMs: number) {
    this.user = user;
    this.password = password.slice();
    this.costMs = costMs;
    const { promise, resolve } = Promise.withResolvers<boolean | null>();
    this.result = promise;
    this.settle = resolve;
  }
}

const DIGEST_BYTES = 32;
const IV_BYTES = 16;
const CIPHER = 'aes-256-ctr';
/** Between two looks at a queue that is full, in milliseconds. */
const BUSY_PAUSE_MS = 50;

/**
 * One for the whole process, reloads included. A password that was found right is recognized again by a keyed digest
 * that lives in memory only: a fleet that comes back at once costs 0.4 us a login instead of 40 us (PBKDF2, 101
 * iterations), 600 us (1,000) or 34 ms (argon2id). Logins with the same name and password that wait at the same time
 * share one check.
 *
 * Behind the digest the password itself is kept, encrypted with the digest as initialization vector and a key that is
 * made at start: so that a client whose user gets another hash of the same password can stay, as with Mosquitto, which
 * keeps passwords as they are.
 */
export class PasswordChecker {
  private readonly options: PasswordCheckerOptions;
  private readonly key = crypto.getRandomValues(new Uint8Array(32));
  private readonly sealKey = crypto.getRandomValues(new Uint8Array(32));
  private readonly waiting = new Deque<Job>();
  private waitingMs = 0;
  private running = 0;
  private windowStartMs = Number.NEGATIVE_INFINITY;
  private spentMs = 0;
  /** By the digest of name and password. */
  private readonly jobs = new Map<string, Job>();

  constructor(options: Partial<PasswordCheckerOptions> = {}) {
    this.options = {
      concurrency: Math.max(1, Math.min(4, availableParallelism() - 1)),
      longestWaitMs: 10_000,
      nowMs: () => performance.now(),
      ...options,
    };
  }

  /** Checks that wait for a thread. */
  get queueLength(): number {
    return this.waiting.length;
  }

  /**
   * `success`; `notAuthorized` where there is no such user or the password is wrong, which takes the same time;
   * `serverBusy` where too many wait; `serverUnavailable` where memory is short; `connectionRateExceeded` where
   * `isWanted` said no when its turn came.
   */
  check(file: PasswordFile, username: string, password: Uint8Array, isWanted: () => boolean = always): LoginAnswer {
    const known = file.users.get(username) ?? null;
    const digest = this.digest(username, password);
    if (known !== null && known.verified !== null && isOf(known.verified, digest)) return ReasonCode.success;
    const user = known ?? file.decoyFor(username);
    if (user === null) return ReasonCode.notAuthorized;
    const { hash } = user;
    const costMs = checkCostMs(hash);
    if (isQuick(hash, costMs) && (costMs < FREE_MS || this.hasBudget())) {
      const startMs = this.options.nowMs();
      const isRight = checkPasswordNow(hash, password);
      this.spentMs += this.options.nowMs() - startMs;
      return this.answer(known, digest, password, isRight);
    }
    const id = digest.toString('latin1');
    let job = this.jobs.get(id);
    // After a reload another hash may stand for the same name.
    if (job?.user !== user) {
      if (this.waitingMs > this.options.longestWaitMs * this.options.concurrency) return ReasonCode.serverBusy;
      job = new Job(user, password, costMs);
      this.jobs.set(id, job);
      this.enqueue(id, job);
    }
    job.wanted.push(isWanted);
    this.runNext();
    // The caller's bytes are gone by then; the job's are wiped after those that wait for it have gone on.
    const { password: kept } = job;
    return job.result.then((isRight) => {
      if (isRight !== null) return this.answer(known, digest, kept, isRight);
      return isWanted() ? ReasonCode.serverUnavailable : ReasonCode.connectionRateExceeded;
    });
  }

  private answer(known: User | null, digest: Uint8Array, password: Uint8Array, isRight: boolean): ReasonCode {
    if (known === null || !isRight) return ReasonCode.notAuthorized;
    known.verified = this.seal(digest, password);
    return ReasonCode.success;
  }

  private seal(digest: Uint8Array, password: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(DIGEST_BYTES + password.length);
    sealed.set(digest);
    const cipher = createCipheriv(CIPHER, this.sealKey, digest.subarray(0, IV_BYTES));
    sealed.set(cipher.update(password), DIGEST_BYTES);
    return sealed;
  }

  /**
   * Whether the password a connected client logged in with is right by the file as it is now, which gives its user
   * another hash than before. Waits for others instead of being too busy.
   *
   * @param isWanted false spares the work; the answer is then false
   */
  async recheck(file: PasswordFile, username: string, isWanted: () => boolean): Promise<boolean> {
    const sealed = file.users.get(username)?.formerly ?? null;
    if (sealed === null) return false;
    const opened = createDecipheriv(CIPHER, this.sealKey, sealed.subarray(0, IV_BYTES));
    const password = opened.update(sealed.subarray(DIGEST_BYTES));
    try {
      for (;;) {
        if (!isWanted()) return false;
        const answer = await this.check(file, username, password, isWanted);
        if (answer === ReasonCode.success) return true;
        if (answer === ReasonCode.notAuthorized) file.users.get(username)!.formerly = null;
        if (answer !== ReasonCode.serverBusy) return false;
        await Bun.sleep(BUSY_PAUSE_MS);
      }
    } finally {
      password.fill(0);
    }
  }

  /** A name of MQTT holds no NUL, so what is name and what is password is clear. */
  private digest(username: string, password: Uint8Array): Buffer {
    return new Bun.CryptoHasher('sha256', this.key).update(username).update('\0').update(password).digest();
  }

  private hasBudget(): boolean {
    const now = this.options.nowMs();
    if (now - this.windowStartMs >= WINDOW_MS) {
      this.windowStartMs = now;
      this.spentMs = 0;
    }
    return this.spentMs < BUDGET_MS;
  }

  private enqueue(id: string, job: Job): void {
    this.waiting.push(job);
    this.waitingMs += job.costMs;
    void job.result.then(() => {
      if (this.jobs.get(id) === job) this.jobs.delete(id);
      // After those that asked, of whom each may keep the password for the user.
      queueMicrotask(() => job.password.fill(0));
    });
  }

  private runNext(): void {
    while (this.running < this.options.concurrency) {
      const job = this.waiting.shift();
      if (job === undefined) return;
      // Sums of fractions drift: an empty queue is the place to begin anew.
      this.waitingMs = this.waiting.length === 0 ? 0 : this.waitingMs - job.costMs;
      if (!job.wanted.some((isWanted) => isWanted())) {
        job.settle(null);
        continue;
      }
      this.running++;
      void checkPassword(job.user.hash, job.password)
        // Memory is short: the login is refused, and may be tried again.
        .catch(() => null)
        .then((isRight) => {
          this.running--;
          job.settle(isRight);
          this.runNext();
        });
    }
  }
}

function isOf(sealed: Uint8Array, digest: Uint8Array): boolean {
  return timingSafeEqual(sealed.subarray(0, DIGEST_BYTES), digest);
}

function isQuick(
  hash: PasswordHash,
  costMs: number,
): hash is Exclude<PasswordHash, { kind: typeof HashKind.argon2id }> {
  return hash.kind !== HashKind.argon2id && costMs <= QUICK_MS;
}
