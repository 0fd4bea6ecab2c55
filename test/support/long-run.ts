/** `MARTLET_LONG_TESTS=1` in the environment asks for the sizes of a nightly run. */
const isLongRun = process.env['MARTLET_LONG_TESTS'] === '1';

/** A count, or whatever else says how much a test does: the first in `npm test`, the second in a long run. */
export function sized<T>(everyRun: T, longRun: T): T {
  return isLongRun ? longRun : everyRun;
}
