// Slows down whoever guesses passwords: failed logins are counted by address, and by address and user name.

export interface LoginLimiterOptions {
  /** Failures in a row of one user name from one address before it must wait, and how long each one is held against it. */
  readonly userFailures: number;
  readonly userForgivenMs: number;
  /** The same for one address, whatever the names. Many clients may stand behind it, so it is the larger. */
  readonly addressFailures: number;
  readonly addressForgivenMs: number;
  /** Addresses, and pairs of address and name, that are remembered at most; beyond, the oldest is forgotten. */
  readonly mostEntries: number;
}

export const defaultLoginLimiterOptions: LoginLimiterOptions = {
  userFailures: 10,
  userForgivenMs: 10_000,
  addressFailures: 100,
  addressForgivenMs: 1_000,
  mostEntries: 100_000,
};

/**
 * Ten failures with one name are free, then one each ten seconds; a hundred with any names, then one a second. One
 * device with an old password, which is stopped by its own name, so cannot lock out the others behind its address. What
 * is refused here is not counted as a failure again, and a success clears the name.
 *
 * IPv6 counts by /64, which is what one subscriber has; IPv4 inside IPv6 counts as IPv4.
 */
export class LoginLimiter {
  private readonly options: LoginLimiterOptions;
  private readonly nowMs: () => number;
  private readonly addresses: Failures;
  private readonly users: Failures;
  private readonly seed = crypto.getRandomValues(new BigUint64Array(1))[0]!;

  /** @param nowMs milliseconds since some start, never going back */
  constructor(nowMs: () => number, options: Partial<LoginLimiterOptions> = {}) {
    this.nowMs = nowMs;
    this.options = { ...defaultLoginLimiterOptions, ...options };
    const { userFailures, userForgivenMs, addressFailures, addressForgivenMs, mostEntries } = this.options;
    this.addresses = new Failures(addressFailures, addressForgivenMs, mostEntries);
    this.users = new Failures(userFailures, userForgivenMs, mostEntries);
  }

  /** Addresses and pairs with failures not yet forgotten, some that could be forgotten among them. */
  get size(): number {
    return this.addresses.size + this.users.size;
  }

  /** True: refuse without looking at the password. */
  isBlocked(address: string, username: string): boolean {
    // In general nobody has failed lately.
    if (this.size === 0) return false;
    const now = this.nowMs();
    const group = addressGroup(address);
    return this.addresses.isBlocked(group, now) || this.users.isBlocked(this.pair(group, username), now);
  }

  failed(address: string, username: string): void {
    const now = this.nowMs();
    const group = addressGroup(address);
    this.addresses.add(group, now);
    this.users.add(this.pair(group, username), now);
  }

  succeeded(address: string, username: string): void {
    if (this.users.size > 0) this.users.forget(this.pair(addressGroup(address), username));
  }

  /** Names may be long and are chosen by whoever guesses; a hash of them is not. */
  private pair(group: string, username: string): string {
    return `${group} ${Bun.hash.wyhash(username, this.seed).toString(36)}`;
  }
}

/** Entries hold the time at which their last failure is forgiven; each failure moves it on by the same step. */
class Failures {
  private readonly stepMs: number;
  private readonly toleranceMs: number;
  private readonly most: number;
  /** The one that failed last is last. */
  private readonly forgivenAtMs = new Map<string, number>();

  constructor(burst: number, stepMs: number, most: number) {
    this.stepMs = stepMs;
    this.toleranceMs = (burst - 1) * stepMs;
    this.most = most;
  }

  get size(): number {
    return this.forgivenAtMs.size;
  }

  isBlocked(key: string, now: number): boolean {
    const forgivenAt = this.forgivenAtMs.get(key);
    return forgivenAt !== undefined && forgivenAt - now > this.toleranceMs;
  }

  add(key: string, now: number): void {
    const { forgivenAtMs } = this;
    const before = forgivenAtMs.get(key) ?? 0;
    forgivenAtMs.delete(key);
    this.sweep(now);
    forgivenAtMs.set(key, Math.max(before, now) + this.stepMs);
  }

  forget(key: string): void {
    this.forgivenAtMs.delete(key);
  }

  /** Drops a few of the oldest that are forgiven, and the oldest of all where there is no room: constant work. */
  private sweep(now: number): void {
    const { forgivenAtMs } = this;
    let looks = 4;
    for (const [key, forgivenAt] of forgivenAtMs) {
      const isFull = forgivenAtMs.size >= this.most;
      if (looks-- === 0 && !isFull) return;
      if (forgivenAt <= now || isFull) forgivenAtMs.delete(key);
      else return;
    }
  }
}

/** What counts as one address. */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address;
  const lower = address.toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(lower);
  if (mapped !== null) return mapped[1]!;
  const [bare = ''] = lower.split('%', 1);
  const [head = '', tail] = bare.split('::');
  const front = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const back = tail === '' ? 0 : tail.split(':').length + (tail.includes('.') ? 1 : 0);
    for (let missing = 8 - front.length - back; missing > 0; missing--) front.push('0');
    if (front.length < 4 && tail !== '') front.push(...tail.split(':'));
  }
  return `${front
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
