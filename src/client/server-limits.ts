import type { Properties } from '../protocol/properties.ts';
import { LARGEST_PACKET } from './client-settings.ts';

/** What the server allows on this connection (v5 section 3.2.2.3); MQTT 3 servers allow everything. */
export interface ServerLimits {
  readonly receiveMaximum: number;
  readonly maximumQoS: number;
  readonly retainAvailable: boolean;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  readonly wildcardSubscriptionAvailable: boolean;
  readonly subscriptionIdentifierAvailable: boolean;
  readonly sharedSubscriptionAvailable: boolean;
}

export const noServerLimits: ServerLimits = {
  receiveMaximum: 65_535,
  maximumQoS: 2,
  retainAvailable: true,
  maximumPacketSize: LARGEST_PACKET,
  topicAliasMaximum: 0,
  wildcardSubscriptionAvailable: true,
  subscriptionIdentifierAvailable: true,
  sharedSubscriptionAvailable: true,
};

/** The limits of a CONNACK; `previous` where they are the same, so that many clients share one object. */
export function serverLimits(properties: Properties | null, previous: ServerLimits): ServerLimits {
  const limits: ServerLimits = {
    receiveMaximum: properties?.receiveMaximum ?? noServerLimits.receiveMaximum,
    maximumQoS: properties?.maximumQoS ?? noServerLimits.maximumQoS,
    retainAvailable: properties?.retainAvailable !== 0,
    maximumPacketSize: properties?.maximumPacketSize ?? noServerLimits.maximumPacketSize,
    topicAliasMaximum: properties?.topicAliasMaximum ?? 0,
    wildcardSubscriptionAvailable: properties?.wildcardSubscriptionAvailable !== 0,
    subscriptionIdentifierAvailable: properties?.subscriptionIdentifierAvailable !== 0,
    sharedSubscriptionAvailable: properties?.sharedSubscriptionAvailable !== 0,
  };
  const isSame = (Object.keys(limits) as (keyof ServerLimits)[]).every((name) => limits[name] === previous[name]);
  return isSame ? previous : limits;
}
