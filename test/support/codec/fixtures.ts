/** Every packet type of MQTT 3.1, 3.1.1 and 5.0 as bytes and as an object. */
import { ackFixtures } from './ack-fixtures.ts';
import { connackFixtures } from './connack-fixtures.ts';
import { connectFixtures } from './connect-fixtures.ts';
import { connectionFixtures } from './connection-fixtures.ts';
import type { Fixture } from './fixture.ts';
import { publishFixtures } from './publish-fixtures.ts';
import { subscribeFamilyFixtures } from './subscribe-fixtures.ts';

export const fixtures: readonly Fixture[] = [
  ...connectFixtures,
  ...connackFixtures,
  ...publishFixtures,
  ...ackFixtures,
  ...subscribeFamilyFixtures,
  ...connectionFixtures,
];
