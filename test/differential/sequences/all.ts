import type { Sequence } from '../sequence.ts';
import { connectMalformedSequences } from './connect-malformed.ts';
import { connectSequences } from './connect.ts';
import { limitSequences } from './limits.ts';
import { malformedSequences } from './malformed.ts';
import { optionSequences } from './options.ts';
import { publishSequences } from './publish.ts';
import { retainSequences } from './retain.ts';
import { sessionSequences } from './session.ts';
import { subscribeSequences } from './subscribe.ts';
import { timerSequences } from './timers.ts';

/** Those that wait come first: the others run meanwhile. */
export const allSequences: readonly Sequence[] = [
  ...timerSequences,
  ...connectSequences,
  ...connectMalformedSequences,
  ...subscribeSequences,
  ...publishSequences,
  ...retainSequences,
  ...sessionSequences,
  ...limitSequences,
  ...optionSequences,
  ...malformedSequences,
];
