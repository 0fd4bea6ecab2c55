import { describe, expect, test } from 'bun:test';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { chooseClientId, type ClientIdRequest, type ClientIdRules } from './client-id-rules.ts';

const { v31, v311, v5 } = ProtocolVersion;
const { clientIdentifierNotValid, notAuthorized } = ReasonCode;
const plain: ClientIdRules = {
  allowZeroLengthClientid: true,
  autoIdPrefix: 'auto-',
  requiredPrefix: null,
  useUsernameAsClientid: false,
};

function choose(rules: Partial<ClientIdRules>, request: Partial<ClientIdRequest>) {
  const all = { protocolVersion: v5, clientId: 'c', cleanStart: true, username: null, ...request };
  const { reasonCode, clientId, isAssigned } = chooseClientId({ ...plain, ...rules }, all, () => 'ID');
  return reasonCode === ReasonCode.success ? `${clientId}${isAssigned ? ' assigned' : ''}` : reasonCode;
}

test('a client keeps the identifier it brings', () => {
  expect(choose({}, {})).toBe('c');
});

describe('an empty identifier', () => {
  test('gets one that is made, with the prefix', () => {
    expect(choose({}, { clientId: '' })).toBe('auto-ID assigned');
    expect(choose({ autoIdPrefix: '' }, { clientId: '' })).toBe('ID assigned');
    expect(choose({}, { clientId: '', protocolVersion: v311 })).toBe('auto-ID assigned');
  });

  test('v3.1.1 [MQTT-3.1.3-8] needs a clean session, v5 does not, v3.1 has none', () => {
    expect(choose({}, { clientId: '', protocolVersion: v311, cleanStart: false })).toBe(clientIdentifierNotValid);
    expect(choose({}, { clientId: '', cleanStart: false })).toBe('auto-ID assigned');
    expect(choose({}, { clientId: '', protocolVersion: v31 })).toBe(clientIdentifierNotValid);
  });

  test('is refused where it is not allowed, even if a user name would take its place', () => {
    const rules = { allowZeroLengthClientid: false, useUsernameAsClientid: true };
    expect(choose(rules, { clientId: '', username: 'u' })).toBe(clientIdentifierNotValid);
    expect(choose(rules, { clientId: '', protocolVersion: v311, username: 'u' })).toBe(clientIdentifierNotValid);
  });

  test('without a generator is a new UUID each time', () => {
    const ids = Array.from({ length: 10 }, () => {
      const request = { protocolVersion: v5, clientId: '', cleanStart: true, username: null };
      return chooseClientId(plain, request).clientId;
    });
    expect(new Set(ids).size).toBe(10);
    expect(ids[0]).toMatch(/^auto-[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/);
  });
});

describe('a required prefix', () => {
  test('is that of the identifier, made ones too', () => {
    expect(choose({ requiredPrefix: 'dev-' }, { clientId: 'dev-1' })).toBe('dev-1');
    expect(choose({ requiredPrefix: 'dev-' }, { clientId: 'de' })).toBe(notAuthorized);
    expect(choose({ requiredPrefix: 'dev-' }, { clientId: '' })).toBe(notAuthorized);
    expect(choose({ requiredPrefix: 'auto-' }, { clientId: '' })).toBe('auto-ID assigned');
  });

  test('is not that of a user name that takes its place', () => {
    const rules = { requiredPrefix: 'dev-', useUsernameAsClientid: true };
    expect(choose(rules, { clientId: 'dev-1', username: 'u' })).toBe('u');
    expect(choose(rules, { clientId: 'c', username: 'dev-u' })).toBe(notAuthorized);
  });
});

test('the user name as identifier must be there; a client that brought none is told', () => {
  const rules = { useUsernameAsClientid: true };
  expect(choose(rules, { username: 'u' })).toBe('u');
  expect(choose(rules, { clientId: '', username: 'u' })).toBe('u assigned');
  expect(choose(rules, {})).toBe(notAuthorized);
  expect(choose(rules, { username: '' })).toBe(notAuthorized);
});
