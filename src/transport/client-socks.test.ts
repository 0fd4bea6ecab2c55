import { describe, expect, test } from 'bun:test';
import { SocksHandshake, type SocksProxy } from './client-socks.ts';
import { TransportError, TransportFailure } from './client-transport.ts';

const proxy: SocksProxy = { hostname: 'proxy', port: 1080, username: null, password: '' };
const withUser: SocksProxy = { ...proxy, username: 'me', password: 'pw' };

/** What the client says to each answer, all in hexadecimal digits. */
function converse(handshake: SocksHandshake, ...answers: string[]): string[] {
  return [handshake.hello, ...answers.map((answer) => handshake.push(Uint8Array.fromHex(answer)))].map((bytes) =>
    bytes.toHex(),
  );
}

function failure(run: () => unknown): TransportError {
  try {
    run();
  } catch (error) {
    if (error instanceof TransportError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('RFC 1928', () => {
  test.each([
    ['127.0.0.1', '05010001' + '7f000001' + '075b'],
    ['::1', '05010004' + '00000000000000000000000000000001' + '075b'],
    ['2001:db8::1:0:0:1', '05010004' + '20010db8000000000001000000000001' + '075b'],
    ['::ffff:1.2.3.4', '05010004' + '00000000000000000000ffff01020304' + '075b'],
    ['fe80::1%eth0', '05010004' + 'fe800000000000000000000000000001' + '075b'],
    ['a.b', '05010003' + '03612e62' + '075b'],
  ])('asks for %s', (hostname, request) => {
    const handshake = new SocksHandshake(proxy, hostname, 1883);
    expect(converse(handshake, '0500')).toEqual(['050100', request]);
    expect(handshake.isOpen).toBe(false);
  });

  test.each([
    ['an IPv4 address', '0500000101020304' + '0001'],
    ['an IPv6 address', '05000004' + '00'.repeat(16) + '0001'],
    ['a name', '0500000302' + '6162' + '0001'],
    ['an empty name', '0500000300' + '0001'],
  ])('the way is open after a reply with %s, also a byte at a time', (_name, reply) => {
    const handshake = new SocksHandshake(proxy, 'h', 1);
    handshake.push(Uint8Array.fromHex('0500'));
    for (let i = 0; i < reply.length; i += 2) {
      expect(handshake.isOpen).toBe(false);
      expect(handshake.push(Uint8Array.fromHex(reply.slice(i, i + 2)))).toHaveLength(0);
    }
    expect(handshake.isOpen).toBe(true);
    expect(handshake.rest).toHaveLength(0);
  });

  test('bytes of the target behind the reply are kept', () => {
    const handshake = new SocksHandshake(proxy, 'h', 1);
    converse(handshake, '0500', '05000001010203040001' + '2002');
    expect(handshake.rest.toHex()).toBe('2002');
  });

  test.each([
    [1, null],
    [2, 'EACCES'],
    [3, 'ENOTCONN'],
    [4, 'ENOTCONN'],
    [5, 'ENOTCONN'],
    [6, null],
    [8, null],
    [255, null],
  ])('reply %d ends it, also without an address', (code, systemCode) => {
    const handshake = new SocksHandshake(proxy, 'h', 1);
    handshake.push(Uint8Array.of(5, 0));
    expect(failure(() => handshake.push(Uint8Array.of(5, code)))).toMatchObject({
      failure: TransportFailure.proxy,
      systemCode,
    });
  });

  test.each([
    ['another version', ['0400']],
    ['HTTP', ['485454502f312e3120']],
    ['more than was asked for', ['050001']],
    ['an address of an unknown type', ['0500', '0500000201020304']],
    ['another version in the reply', ['0500', '04000001010203040001']],
  ])('%s ends it', (_name, answers) => {
    expect(failure(() => converse(new SocksHandshake(proxy, 'h', 1), ...answers))).toMatchObject({
      failure: TransportFailure.proxy,
      systemCode: null,
    });
  });

  test('a name that fits in no request is refused before anything is sent', () => {
    expect(failure(() => new SocksHandshake(proxy, 'x'.repeat(256), 1)).failure).toBe(TransportFailure.lookup);
  });
});

describe('RFC 1929', () => {
  test('the user name goes only where the proxy wants it', () => {
    expect(converse(new SocksHandshake(withUser, 'h', 1), '0500')).toEqual(['05020002', '05010003' + '0168' + '0001']);
    const asked = new SocksHandshake(withUser, 'h', 1);
    expect(converse(asked, '0502', '0100')).toEqual(['05020002', '01026d65027077', '05010003' + '0168' + '0001']);
  });

  test.each([
    ['a wrong password', withUser, ['0502', '0101']],
    ['no method that fits', withUser, ['05ff']],
    ['a user name that is wanted and not there', proxy, ['05ff']],
    ['a method that was not offered', proxy, ['0502']],
  ])('%s is told as a matter of access', (_name, who, answers) => {
    expect(failure(() => converse(new SocksHandshake(who, 'h', 1), ...answers))).toMatchObject({
      failure: TransportFailure.proxy,
      systemCode: 'EACCES',
    });
  });

  test('an answer of another protocol ends it', () => {
    expect(failure(() => converse(new SocksHandshake(withUser, 'h', 1), '0502', '0500')).systemCode).toBeNull();
  });
});
