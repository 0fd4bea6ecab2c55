import { ByteWriter } from '../protocol/byte-writer.ts';
import type { ClientHandlers, ClientTrace } from './client-handlers.ts';
import { type ClientSettings, LARGEST_PACKET } from './client-settings.ts';
import { IncomingMessage } from './incoming-message.ts';
import type { PublishFrame } from './outgoing-message.ts';
import { noServerLimits, type ServerLimits } from './server-limits.ts';

/**
 * What many clients share: how they behave, who is told, and scratch memory. The memory is in use during calls of a
 * client only, so transports must not call back from inside `write`.
 */
export class ClientContext {
  readonly settings: ClientSettings;
  readonly handlers: ClientHandlers;
  /** Null for none. */
  trace: ClientTrace | null;
  /** Bytes of the largest packet we take. */
  readonly maximumPacketSize: number;
  readonly writer = new ByteWriter(4_096);
  readonly frame: PublishFrame = { length: 0, payloadFollows: false };
  readonly message = new IncomingMessage();
  /** Limits of the latest server, which most often are those of the next. */
  latestLimits: ServerLimits = noServerLimits;

  constructor(settings: ClientSettings, handlers: ClientHandlers, trace: ClientTrace | null = null) {
    this.settings = settings;
    this.handlers = handlers;
    this.trace = trace;
    this.maximumPacketSize = settings.properties?.maximumPacketSize ?? LARGEST_PACKET;
  }
}
