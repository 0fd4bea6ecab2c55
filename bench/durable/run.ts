import { comeBack, fullSizes, offline, online, shortSizes, type Sizes, startUp, type Table } from './scenarios.ts';

export interface Run {
  readonly name: string;
  readonly about: string;
  run(sizes: Sizes): Promise<Table>;
}

/** Mosquitto is measured where it can do it at all: it saves the whole of its state at each change. */
export const runs: readonly Run[] = [
  {
    name: 'offline',
    about: 'QoS 1 to clients that are away, with all sessions there are',
    run: (sizes) => offline(['normal', 'full'], sizes, sizes.sessions),
  },
  {
    name: 'offline-few',
    about: 'the same with 10,000 sessions, beside Mosquitto',
    run: (sizes) => offline(['normal', 'full', 'mosquitto'], sizes, Math.min(10_000, sizes.sessions)),
  },
  {
    name: 'online',
    about: 'pairs at a given rate, with and without persistence, beside Mosquitto',
    run: (sizes) => online(['memory', 'normal', 'full', 'mosquitto'], sizes),
  },
  { name: 'come-back', about: 'many clients return for what waits', run: comeBack },
  { name: 'start-up', about: 'start with a large store', run: startUp },
];

/** For the test suite: small sizes, ours only. Answers with what went wrong. */
export async function runShort(): Promise<string[]> {
  const tables = [
    await offline(['normal'], shortSizes, shortSizes.sessions),
    await online(['normal', 'full'], shortSizes),
    await comeBack(shortSizes),
    await startUp(shortSizes),
  ];
  return tables.flatMap(({ faults }) => faults);
}

export { fullSizes, shortSizes };
