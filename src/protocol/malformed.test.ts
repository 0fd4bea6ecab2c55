import { describe, expect, test } from 'bun:test';
import type { MalformedCase } from '../../test/support/codec/fixture.ts';
import { concatBytes, fromHex } from '../../test/support/codec/hex.ts';
import { malformedLengths, malformedPackets } from '../../test/support/codec/malformed.ts';
import { RecordingFramer } from '../../test/support/codec/recording-framer.ts';
import { PacketType } from './packet-type.ts';
import { PublishView } from './publish.ts';
import { ProtocolError } from './protocol-error.ts';

/** Offset of the body of the one packet that `bytes` holds. */
function bodyOf(bytes: Uint8Array): number {
  let length = 0;
  for (let i = 1; i <= 4; i++) {
    length += (bytes[i]! & 127) * 128 ** (i - 1);
    if (bytes[i]! < 128) {
      expect(bytes.length, 'the case holds one whole packet').toBe(i + 1 + length);
      return i + 1;
    }
  }
  throw new Error('the case has no fixed header');
}

function expectRefused({ version, sender, reasonCode }: MalformedCase, bytes: Uint8Array): void {
  const whole = new RecordingFramer(version, sender);
  whole.push(bytes, 0, bytes.length);
  const slow = new RecordingFramer(version, sender);
  slow.pushSlowly(bytes);
  // What a packet lacks must not be taken from what follows it in the chunk.
  const followed = new RecordingFramer(version, sender);
  followed.push(concatBytes([bytes, new Uint8Array(16)]), 0, bytes.length + 16);
  for (const framer of [whole, slow, followed]) {
    expect(framer.packets).toEqual([]);
    expect(framer.error?.reasonCode).toBe(reasonCode as 0);
    expect(framer.errors).toBe(1);
    expect(framer.error?.clause).toMatch(/^v(5|3\.1\.1) (\[MQTT-\d+\.\d+\.\d+-\d+\]|section \d+(\.\d+)+)$/);
  }
}

describe('malformed packets', () => {
  test('have names of their own', () => {
    const names = [...malformedPackets, ...malformedLengths].map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test.each(malformedPackets.map((one) => [one.name, one] as const))('%s', (_, one) => {
    const bytes = fromHex(one.hex);
    bodyOf(bytes);
    expectRefused(one, bytes);
  });

  test.each(malformedLengths.map((one) => [one.name, one] as const))('%s', (_, one) => {
    expectRefused(one, fromHex(one.hex));
  });
});

describe('PublishView', () => {
  /** What it leaves to its caller: the topic name, and a Subscription Identifier from a client. */
  const leftToCaller = /topic name|bytes|subscription identifier from a client|^v3\.1 refuses an empty topic/;
  const publishes = malformedPackets.filter(({ hex }) => hex.startsWith('3'));

  test('refuses what decodePacket refuses, with the same code, but for the topic name', () => {
    let checked = 0;
    for (const { name, version, hex, reasonCode } of publishes) {
      if (leftToCaller.test(name) && !/past the end|alias 0/.test(name)) continue;
      const bytes = fromHex(hex);
      let code = 0;
      try {
        new PublishView().decode(bytes[0]!, bytes, bodyOf(bytes), bytes.length, version);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        code = error.reasonCode;
      }
      expect(code, name).toBe(reasonCode);
      expect(bytes[0]! >> 4).toBe(PacketType.publish);
      checked++;
    }
    expect(checked).toBeGreaterThan(40);
  });
});
