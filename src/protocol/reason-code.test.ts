import { describe, expect, test } from 'bun:test';
import { ackFirstByte, writeShortAck } from './ack.ts';
import { peekConnectVersion } from './connect.ts';
import { checkFirstByte, encodePacket } from './packet.ts';
import { PacketType, packetTypeName, ProtocolVersion } from './packet-type.ts';
import { ProtocolError } from './protocol-error.ts';
import { ConnectReturnCode, ReasonCode, reasonCodeName, toConnectReturnCode } from './reason-code.ts';
import { fromHex } from '../../test/support/codec/hex.ts';

describe('reason codes', () => {
  test('have the numbers of v5 section 2.4', () => {
    const numbers = new Set<number>(Object.values(ReasonCode));
    const expected = [0, 1, 2, 4, 0x10, 0x11, 0x18, 0x19];
    for (let code = 0x80; code <= 0xa2; code++) expected.push(code);
    expect([...numbers].sort((a, b) => a - b)).toEqual(expected);
  });

  test('have readable names', () => {
    expect(reasonCodeName(ReasonCode.packetTooLarge)).toBe('packet too large');
    expect(reasonCodeName(ReasonCode.malformedPacket)).toBe('malformed packet');
    expect(reasonCodeName(0x00)).toBe('success');
    expect(reasonCodeName(0x02)).toBe('granted qos2');
    expect(reasonCodeName(0xff)).toBe('0xff');
    for (const code of Object.values(ReasonCode)) expect(reasonCodeName(code)).toMatch(/^[a-z0-9 ]+$/);
  });

  test('v3.1.1 [MQTT-3.2.2-6] become return codes of MQTT 3 where one says the same, and none elsewhere', () => {
    const { accepted, unacceptableProtocolVersion, identifierRejected } = ConnectReturnCode;
    expect(toConnectReturnCode(ReasonCode.success)).toBe(accepted);
    expect(toConnectReturnCode(ReasonCode.unsupportedProtocolVersion)).toBe(unacceptableProtocolVersion);
    expect(toConnectReturnCode(ReasonCode.clientIdentifierNotValid)).toBe(identifierRejected);
    expect(toConnectReturnCode(ReasonCode.serverBusy)).toBe(ConnectReturnCode.serverUnavailable);
    expect(toConnectReturnCode(ReasonCode.badUserNameOrPassword)).toBe(ConnectReturnCode.badUserNameOrPassword);
    expect(toConnectReturnCode(ReasonCode.notAuthorized)).toBe(ConnectReturnCode.notAuthorized);
    for (const code of [ReasonCode.malformedPacket, ReasonCode.protocolError, ReasonCode.packetTooLarge]) {
      expect(toConnectReturnCode(code)).toBeNull();
    }
  });
});

describe('acknowledgements in short form', () => {
  test('are the four bytes that encodePacket writes', () => {
    for (const type of [PacketType.puback, PacketType.pubrec, PacketType.pubrel, PacketType.pubcomp] as const) {
      for (const packetId of [1, 255, 256, 65_535]) {
        const out = new Uint8Array(6).fill(0xee);
        expect(writeShortAck(out, 1, ackFirstByte(type), packetId)).toBe(5);
        for (const version of [ProtocolVersion.v31, ProtocolVersion.v311, ProtocolVersion.v5]) {
          const whole = encodePacket({ type, packetId, reasonCode: 0, properties: null }, version);
          expect(out.subarray(1, 5).toHex()).toBe(whole.toHex());
        }
        expect([out[0], out[5]]).toEqual([0xee, 0xee]);
      }
    }
  });
});

describe('the first byte', () => {
  /** Table 2-2: all types but PUBLISH, with the one value of their flags. */
  const flagsOf = new Map<number, number>([
    [1, 0],
    [2, 0],
    [4, 0],
    [5, 0],
    [6, 2],
    [7, 0],
    [8, 2],
    [9, 0],
    [10, 2],
    [11, 0],
    [12, 0],
    [13, 0],
    [14, 0],
    [15, 0],
  ]);

  function accepts(firstByte: number, version: ProtocolVersion): boolean {
    try {
      checkFirstByte(firstByte, version);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      expect(error.reasonCode).toBe(ReasonCode.malformedPacket);
      return false;
    }
    return true;
  }

  test('v5 [MQTT-2.1.3-1] v3.1.1 [MQTT-2.2.2-1] [MQTT-2.2.2-2] has the flags of the table and no others', () => {
    for (let firstByte = 0; firstByte < 256; firstByte++) {
      const type = firstByte >> 4;
      const isRight = type === PacketType.publish || flagsOf.get(type) === firstByte % 16;
      expect(accepts(firstByte, ProtocolVersion.v5)).toBe(isRight);
      expect(accepts(firstByte, ProtocolVersion.v311)).toBe(isRight && type !== PacketType.auth);
    }
  });

  test('has in MQTT 3.1 a type, and flags that are not looked at', () => {
    for (let firstByte = 0; firstByte < 256; firstByte++) {
      const type = firstByte >> 4;
      expect(accepts(firstByte, ProtocolVersion.v31)).toBe(type !== 0 && type !== PacketType.auth);
    }
  });

  test('has a name', () => {
    expect(packetTypeName(PacketType.connect)).toBe('CONNECT');
    expect(packetTypeName(PacketType.auth)).toBe('AUTH');
    expect(packetTypeName(0)).toBe('reserved');
    expect(packetTypeName(16 + 3)).toBe('PUBLISH');
  });
});

describe('peekConnectVersion', () => {
  test('tells the version of a CONNECT that is broken further on', () => {
    for (const [hex, version] of [
      ['0004 "MQTT" 05', 5],
      ['0004 "MQTT" 04 ff', 4],
      ['0004 "MQTT" 84', 4],
      ['0006 "MQIsdp" 03', 3],
      ['0006 "MQIsdp" 83', 3],
      ['0004 "MQTT" 06', null],
      ['0004 "MQTT" 85', null],
      ['0004 "MQTT"', null],
      ['0006 "MQIsdp" 04', null],
      ['0004 "mqtt" 05', null],
      ['00', null],
      ['', null],
    ] as const) {
      const bytes = fromHex(hex);
      expect(peekConnectVersion(bytes, 0, bytes.length), hex).toBe(version);
    }
  });
});
