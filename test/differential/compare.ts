/** Runs sequences against both brokers and says where what comes back differs. */
import { startPair } from './broker-pair.ts';
import { runAll, type Transcript } from './runner.ts';
import type { BrokerKind, Sequence } from './sequence.ts';
import { Missing } from './wire.ts';

/** What one client of one sequence got, from where it is no longer the same. */
export interface Difference {
  readonly sequence: string;
  readonly client: string;
  /** Events of `Transcript`, joined by blanks; empty where the other one's go on alone. */
  readonly mosquitto: string;
  readonly martlet: string;
}

export interface Comparison {
  readonly differences: readonly Difference[];
  /** Sequences in which something that both brokers were to send never came. */
  readonly unanswered: readonly string[];
}

/** Sequences at once against one broker. */
const WIDTH = 40;

export async function compareAll(sequences: readonly Sequence[]): Promise<Comparison> {
  const kinds = [...new Set(sequences.map((sequence) => sequence.broker))];
  const list = await Promise.all(
    kinds.map((kind) =>
      compareOn(
        kind,
        sequences.filter((one) => one.broker === kind),
      ),
    ),
  );
  return {
    differences: list.flatMap((one) => one.differences),
    unanswered: list.flatMap((one) => one.unanswered),
  };
}

async function compareOn(kind: BrokerKind, sequences: readonly Sequence[]): Promise<Comparison> {
  const pair = await startPair(kind);
  try {
    const [mosquitto, martlet] = await Promise.all([
      runAll(sequences, pair.mosquittoPort, WIDTH),
      runAll(sequences, pair.martletPort, WIDTH),
    ]);
    const names = sequences.map((one) => one.name);
    return {
      differences: names.flatMap((name) => differences(name, mosquitto.get(name)!, martlet.get(name)!)),
      unanswered: names.filter((name) => isUnanswered(mosquitto.get(name)!) && isUnanswered(martlet.get(name)!)),
    };
  } finally {
    await pair.stop();
  }
}

function isUnanswered(transcript: Transcript): boolean {
  return [...transcript.values()].flat().some((event) => event === Missing.pingresp || event === Missing.packet);
}

function differences(sequence: string, mosquitto: Transcript, martlet: Transcript): Difference[] {
  const found: Difference[] = [];
  for (const [client, theirs] of mosquitto) {
    const ours = martlet.get(client)!;
    let same = 0;
    while (same < theirs.length && same < ours.length && theirs[same] === ours[same]) same++;
    if (same === theirs.length && same === ours.length) continue;
    const tail = (events: readonly string[]) => events.slice(same).join(' ');
    found.push({ sequence, client, mosquitto: tail(theirs), martlet: tail(ours) });
  }
  return found;
}
