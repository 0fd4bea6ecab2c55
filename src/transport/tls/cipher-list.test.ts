// Cipher lists beside `openssl ciphers`, as far as OpenSSL has the ciphers that there are here.
import { describe, expect, test } from 'bun:test';
import { openssl } from '../../../test/support/authority.ts';
import { CipherListError, selectCiphers, selectTls13Ciphers } from './cipher-list.ts';

const available = new Set(selectCiphers('ALL'));

describe('ciphers means what it means to OpenSSL:', () => {
  test.each([
    'ALL',
    'DEFAULT',
    'DEFAULT@SECLEVEL=1',
    'DEFAULT:!aNULL:!eNULL:!LOW:!EXPORT:!SSLv2:@STRENGTH',
    'HIGH:!aNULL:!MD5',
    'HIGH:!SHA:!SHA256:!SHA384',
    'HIGH:!CBC',
    'HIGH:!kRSA',
    'HIGH:!ECDSA+AES128',
    'ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM',
    'EECDH+AESGCM:EDH+AESGCM',
    'kEECDH+aECDSA:kRSA',
    'ALL:+ECDHE',
    'ALL:-AES:AES128',
    'ALL:!AES:AES128',
    'ALL:!TLSv1:!SSLv3',
    'ALL:!TLSv1.0',
    'ALL:!TLSv1.2',
    'FIPS',
    'RSA',
    'CHACHA20:AESGCM:@STRENGTH',
    'AES128:AES256:@STRENGTH',
    'ECDHE-RSA-AES128-GCM-SHA256,ECDHE-ECDSA-AES128-GCM-SHA256',
    'AES128-SHA ECDHE-RSA-AES128-GCM-SHA256;AES256-SHA',
    'NO-SUCH-CIPHER:AES128-SHA',
    'DHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384',
    '!kRSA:ALL',
  ])('%s', (list) => {
    const theirs = openssl(['ciphers', '-s', '-tls1_2', list]).trim().split(':');
    expect(selectCiphers(list)).toEqual(theirs.filter((one) => available.has(one)));
  });

  test.each(['NO-SUCH-CIPHER', 'DHE-RSA-AES256-GCM-SHA384', '!ALL', 'ALL:!ECDHE:!RSA', 'eNULL', 'PSK', 'RC4:3DES'])(
    'a list that leaves nothing is refused: %s',
    (list) => {
      expect(() => selectCiphers(list)).toThrow(CipherListError);
      expect(() => selectCiphers(list)).toThrow(/^none of these ciphers is available; there are ECDHE-/);
    },
  );

  test.each([
    ['ALL:@SECLEVEL=2', "'@SECLEVEL=2' is not available: leave it out, and name the ciphers that are strong enough"],
    ['ALL:@NOSUCH', "'@NOSUCH' is not known"],
    ['SUITEB128', "'SUITEB128' is not available: name the ciphers instead"],
  ])('what cannot be had is refused: %s', (list, text) => {
    expect(() => selectCiphers(list)).toThrow(new CipherListError(text));
  });
});

describe('ciphers_tls1.3', () => {
  test.each([
    ['TLS_AES_256_GCM_SHA384', ['TLS_AES_256_GCM_SHA384']],
    ['TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256', ['TLS_AES_128_GCM_SHA256']],
    ['TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384', null],
  ])('%s', (list, names) => {
    expect(selectTls13Ciphers(list)).toEqual(names === null ? null : new Set(names));
  });

  test.each([
    ['TLS_AES_256_GCM_SHA385', "'TLS_AES_256_GCM_SHA385' is no cipher of TLS 1.3; there are TLS_"],
    ['AES128-SHA:TLS_AES_256_GCM_SHA384', "'AES128-SHA' is no cipher of TLS 1.3; there are TLS_"],
    ['TLS_AES_128_CCM_SHA256', 'none of these ciphers is available; there are TLS_'],
  ])('%s is refused', (list, text) => {
    expect(() => selectTls13Ciphers(list)).toThrow(text);
  });
});
