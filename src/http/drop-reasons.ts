import { html } from 'hono/html';
import type { DropReason } from '../session/outgoing-flow.ts';
import type { Html } from './page.ts';

interface Explanation {
  readonly title: string;
  /** In plain words, with what an operator can do about it. */
  readonly text: Html;
}

export const DROP_REASONS: Record<DropReason, Explanation> = {
  queue_full: {
    title: 'Queue full',
    text: html`A subscriber was away or slow, and as many messages waited for it as <code>max_queued_messages</code> or
      <code>max_queued_bytes</code> allows.`,
  },
  expired: {
    title: 'Expired',
    text: html`The Message Expiry Interval that the publisher set had passed before the message could be sent.`,
  },
  too_large: {
    title: 'Too large',
    text: html`The message was larger than the Maximum Packet Size that its subscriber takes.`,
  },
  refused_by_client: {
    title: 'Refused by the subscriber',
    text: html`The subscriber answered the message with an error code.`,
  },
  session_ended: {
    title: 'Session ended',
    text: html`The session expired, or its client started anew, while messages were waiting for it.`,
  },
  slow_reader: {
    title: 'Slow reader',
    text: html`A subscriber read more slowly than messages came. QoS 0 messages are then skipped, so that it costs
    bounded memory and slows nobody else.`,
  },
  memory_limit: {
    title: 'Memory limit',
    text: html`What the broker keeps for its clients took as much memory as <code>memory_limit</code> allows. Publishers
      were told, or disconnected where they could not be.`,
  },
  denied: {
    title: 'Not allowed any more',
    text: html`The access rules changed while the message waited, and its subscriber may not receive it any more.`,
  },
  offline_qos0: {
    title: 'Away, QoS 0',
    text: html`The subscriber was away. QoS 0 messages wait for it only with <code>queue_qos0_messages true</code>.`,
  },
};
