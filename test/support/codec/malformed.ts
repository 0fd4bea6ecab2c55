/** One case for each rule that bytes can break, with the reason code that MQTT 5 names. */
import type { MalformedCase } from './fixture.ts';
import { malformedConnectionPackets, malformedStrings } from './malformed-connection.ts';
import { malformedConnects } from './malformed-connect.ts';
import { malformedPublishes } from './malformed-publish.ts';
import { malformedSubscribes } from './malformed-subscribe.ts';

export { malformedLengths } from './malformed-connection.ts';

/** Whole packets. */
export const malformedPackets: readonly MalformedCase[] = [
  ...malformedConnects,
  ...malformedPublishes,
  ...malformedSubscribes,
  ...malformedConnectionPackets,
  ...malformedStrings,
];
