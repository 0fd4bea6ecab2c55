import { ProtocolError } from '../protocol/protocol-error.ts';
import { Backlog } from '../transport/backlog.ts';
import { ByteConnection } from '../transport/byte-connection.ts';
import type { Congestion } from './congestion.ts';
import { ConnectionExtras } from './connection-extras.ts';
import { DeferredPackets } from './deferred-packets.ts';

/**
 * A connection whose packets can be made to wait, in two ways. Paused, nothing of it is read. Held by receivers that are
 * behind, its messages wait: it is paused then too, unless it is such a receiver itself. Of those the acknowledgements
 * must be read, or two clients that flood each other, and one that floods itself, would wait for ever; so their messages
 * alone are put aside.
 */
export abstract class PausableConnection extends ByteConnection {
  /** What most connections do not have; null until one does. */
  protected extras: ConnectionExtras | null = null;

  protected get own(): ConnectionExtras {
    this.extras ??= new ConnectionExtras();
    return this.extras;
  }

  get congestion(): Congestion | null {
    return this.extras === null ? null : this.extras.congestion;
  }

  set congestion(congestion: Congestion | null) {
    if (congestion !== null || this.extras !== null) this.own.congestion = congestion;
  }

  /** Whether something but its own unread answers keeps the connection from being read. */
  get isKeptUnread(): boolean {
    const { extras } = this;
    return extras !== null && extras.pausedBy > (extras.unreadAnswers < 0 ? 1 : 0);
  }

  /** Bytes of messages put aside above which they are let go. */
  protected abstract get mostDeferredBytes(): number;
  /** Has `continueReading` called in a turn of its own: not in the middle of another one's packets. */
  protected abstract resumeLater(): void;
  /** Reading goes on: silence until now was ours. */
  protected abstract onContinue(): void;
  /**
   * Handles a PUBLISH or PUBREL that was put aside.
   *
   * @throws ProtocolError
   */
  protected abstract handleDeferred(firstByte: number, body: Uint8Array): void;

  /** Takes no more packets, not even those of the chunk at hand, until as many `resumeReading` follow. */
  pauseReading(): void {
    if (this.own.pausedBy++ > 0) return;
    this.isPaused = true;
    this.socket?.pause();
  }

  resumeReading(): void {
    const { own } = this;
    if (own.pausedBy === 0 || --own.pausedBy > 0) return;
    this.resumeLater();
  }

  /** The client's messages wait until as many `releaseMessages` follow. */
  holdMessages(): void {
    const { own } = this;
    if (own.heldBy++ > 0) return;
    if (own.congestion !== null || own.deferred !== null) own.deferred ??= new DeferredPackets();
    else this.pauseAsHeld(own);
  }

  releaseMessages(): void {
    const { own } = this;
    if (own.heldBy === 0 || --own.heldBy > 0) return;
    if (own.deferred !== null) this.resumeLater();
    this.unpauseHeld(own);
  }

  /** The connection fell behind as a receiver: its acknowledgements are read from now on even while it is held. */
  onCongested(): void {
    const { extras } = this;
    if (extras === null || extras.heldBy === 0) return;
    extras.deferred ??= new DeferredPackets();
    this.unpauseHeld(extras);
  }

  private pauseAsHeld(own: ConnectionExtras): void {
    if (own.isPausedAsHeld) return;
    own.isPausedAsHeld = true;
    this.pauseReading();
  }

  private unpauseHeld(own: ConnectionExtras): void {
    if (!own.isPausedAsHeld) return;
    own.isPausedAsHeld = false;
    this.resumeReading();
  }

  protected get isDeferring(): boolean {
    return this.extras !== null && this.extras.deferred !== null;
  }

  /** Puts a packet aside, behind those that are there already. */
  protected defer(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const { own } = this;
    own.deferred!.push(firstByte, bytes, start, end);
    if (own.heldBy === 0 || own.deferred!.bytes <= this.mostDeferredBytes) return;
    if (own.congestion === null) this.pauseAsHeld(own);
    else this.flushDeferred();
  }

  /** Handles all that was put aside, whoever holds it: something that came behind it must not go ahead. */
  protected flushDeferred(): void {
    const { extras } = this;
    if (extras !== null && extras.deferred !== null) this.handleAllDeferred(extras, true);
  }

  private handleAllDeferred(own: ConnectionExtras, evenIfHeld: boolean): void {
    const deferred = own.deferred!;
    try {
      while (!this.framingStopped && (evenIfHeld || (own.heldBy === 0 && own.pausedBy === 0))) {
        const packet = deferred.shift();
        if (packet === undefined) break;
        this.handleDeferred(packet.firstByte, packet.body);
        this.loop.countInput(packet.body.length);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.framingStopped = true;
      this.handleFramingError(error);
    }
    if (deferred.length === 0 && own.heldBy === 0) own.deferred = null;
  }

  protected override holdBytes(chunk: Uint8Array, start: number, end: number): void {
    const { own } = this;
    own.held ??= new Backlog();
    own.held.append(chunk, start, end);
  }

  /** Forgets what was read and not handled: the connection is closed. */
  protected dropUnhandled(): void {
    const { extras } = this;
    if (extras === null) return;
    extras.held = null;
    extras.deferred = null;
  }

  /** Goes on after a pause: first with what was put aside or read before, then with the socket. */
  continueReading(): void {
    const { own } = this;
    if (own.deferred !== null && own.heldBy === 0 && own.pausedBy === 0 && this.isOpen) {
      this.handleAllDeferred(own, false);
    }
    if (own.pausedBy > 0 || !this.isPaused || !this.isOpen) return;
    this.isPaused = false;
    this.onContinue();
    const { held } = own;
    own.held = null;
    while (held !== null && held.bytes > 0) {
      const { block, blockStart, blockEnd } = held;
      held.consume(blockEnd - blockStart);
      this.push(block, blockStart, blockEnd);
      // Many may go on in one turn: what they bring about is written in between, as it is for what is read.
      this.loop.countInput(blockEnd - blockStart);
    }
    if (!this.isPaused) this.socket?.resume();
  }
}
