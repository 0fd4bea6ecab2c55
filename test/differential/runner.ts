/** Runs sequences against a broker and writes down what comes back. */
import { toHex, utf8 } from './bytes.ts';
import type { Sequence, Step } from './sequence.ts';
import { STEP, Wire } from './wire.ts';

/** By client, in the order in which they first appear: packets as hex, `closed`. */
export type Transcript = ReadonlyMap<string, readonly string[]>;

const LIMIT_MS = 4_000;
/** What should end a connection ends it at once, or never. */
const CLOSE_LIMIT_MS = 1_500;

/** Runs one sequence. */
export async function run(sequence: Sequence, port: number): Promise<Transcript> {
  const wires = new Map<string, Wire>();
  const all = new Map<string, Wire[]>();
  try {
    for (const step of sequence.steps) {
      if (step.act === 'send' || step.act === 'drop') for (const wire of wires.values()) wire.beginStep();
      await perform(step, port, wires, all);
      if (!sequence.isQuiet) await fence(step, wires);
    }
  } finally {
    for (const list of all.values()) for (const wire of list) wire.drop();
  }
  const transcript = new Map<string, string[]>();
  for (const [client, list] of all) {
    const events = list.flatMap((wire, index) => (index === 0 ? wire.events : ['again', ...wire.events]));
    transcript.set(client, normalise(sequence, client, events));
  }
  return transcript;
}

async function perform(step: Step, port: number, wires: Map<string, Wire>, all: Map<string, Wire[]>): Promise<void> {
  if (step.act === 'pause') return void (await Bun.sleep(step.ms));
  const { client } = step;
  if (step.act === 'open') {
    const wire = await Wire.open(port);
    wires.set(client, wire);
    all.set(client, [...(all.get(client) ?? []), wire]);
    return;
  }
  const wire = wires.get(client);
  if (wire === undefined) throw new Error(`client ${client} has no connection`);
  switch (step.act) {
    case 'send': {
      const before = wire.packetCount;
      wire.send(step.bytes);
      // The fence behind every step is the PINGREQ; a sequence without fences asks for one.
      if (step.then === 'ping') await wire.ping(LIMIT_MS);
      else if (step.then === 'packet') await wire.packets(1, before, LIMIT_MS);
      else if (step.then === 'close') await wire.close(CLOSE_LIMIT_MS);
      return;
    }
    case 'drop':
      wire.drop();
      return;
    case 'await':
      return wire.packets(step.packets, wire.mark, step.limitMs);
    case 'await-close':
      return wire.close(step.limitMs);
  }
}

/** Brings in what the step made the broker send to every client: first to its own, then to the others. */
async function fence(step: Step, wires: ReadonlyMap<string, Wire>): Promise<void> {
  if (step.act === 'open' || (step.act === 'send' && step.then === 'nothing')) return;
  const own = 'client' in step ? wires.get(step.client) : undefined;
  if (own?.isConnected === true) await own.ping(LIMIT_MS);
  const others = [...wires.values()].filter((wire) => wire !== own && wire.isConnected);
  await Promise.all(others.map((wire) => wire.ping(LIMIT_MS)));
}

const ASSIGNED_ID = /6175746f2d(?:3[0-9]|4[1-6]){8}(?:2d(?:3[0-9]|4[1-6]){4}){3}2d(?:3[0-9]|4[1-6]){12}/g;

function normalise({ tag, unordered }: Sequence, client: string, events: readonly string[]): string[] {
  const tagHex = toHex(utf8(tag));
  const list = events.map((event) => event.replaceAll(tagHex, '<tag>').replaceAll(ASSIGNED_ID, '<assigned>'));
  const ordered = unordered.includes(client) ? (step: string[]) => step.toSorted() : acksFirst;
  const result: string[] = [];
  for (let at = 0; at <= list.length;) {
    const next = list.indexOf(STEP, at);
    const end = next < 0 ? list.length : next;
    result.push(...ordered(list.slice(at, end)));
    at = end + 1;
  }
  return result;
}

/**
 * PUBACK, PUBREC and PUBCOMP go to a publisher ahead of its own copy of the message: Mosquitto 2.1's order, and that of
 * 2.0 the other way round.
 */
function acksFirst(step: readonly string[]): string[] {
  const isAck = (event: string) => /^(?:40|50|70)/.test(event);
  const result: string[] = [];
  for (const event of step) {
    let at = result.length;
    if (isAck(event)) while (at > 0 && result[at - 1]!.startsWith('3')) at--;
    result.splice(at, 0, event);
  }
  return result;
}

/** Runs all of them, `width` at a time. */
export async function runAll(
  sequences: readonly Sequence[],
  port: number,
  width: number,
): Promise<Map<string, Transcript>> {
  const transcripts = new Map<string, Transcript>();
  const waiting = [...sequences];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      transcripts.set(next.name, await run(next, port));
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return transcripts;
}
