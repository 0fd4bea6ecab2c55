// Which client identifier a client gets: `allow_zero_length_clientid`, `auto_id_prefix`, `clientid_prefixes` and
// `use_username_as_clientid`.
import { ProtocolVersion } from '../protocol/packet-type.ts';
import { ReasonCode } from '../protocol/reason-code.ts';

export interface ClientIdRules {
  readonly allowZeroLengthClientid: boolean;
  readonly autoIdPrefix: string;
  /** What all client identifiers must begin with, made ones too (`clientid_prefixes`, one prefix in spite of its name). */
  readonly requiredPrefix: string | null;
  readonly useUsernameAsClientid: boolean;
}

export interface ClientIdRequest {
  readonly protocolVersion: ProtocolVersion;
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly username: string | null;
}

export interface ChosenClientId {
  /** `success` where there is an identifier; else what to refuse the CONNECT with, before any password is looked at. */
  readonly reasonCode: ReasonCode;
  readonly clientId: string;
  /** The client sent none: MQTT 5 tells it which it has (v5 [MQTT-3.2.2-16]). */
  readonly isAssigned: boolean;
  /** For the log, where it is refused. */
  readonly cause: string;
}

/** Bounds `auto_id_prefix`, as Mosquitto does since 2.0.23. */
export const MOST_AUTO_ID_PREFIX = 50;

export const defaultClientIdRules: ClientIdRules = {
  allowZeroLengthClientid: true,
  autoIdPrefix: 'auto-',
  requiredPrefix: null,
  useUsernameAsClientid: false,
};

/**
 * In Mosquitto's order: an empty identifier is refused or replaced, the prefix is checked, and then the user name takes
 * its place whatever the prefix. An empty user name is none.
 *
 * @param makeId the part of a made identifier behind its prefix
 */
export function chooseClientId(
  rules: ClientIdRules,
  { protocolVersion, clientId, cleanStart, username }: ClientIdRequest,
  makeId: () => string = () => crypto.randomUUID().toUpperCase(),
): ChosenClientId {
  const isAssigned = clientId === '';
  if (isAssigned) {
    // v3.1.1 [MQTT-3.1.3-8]; MQTT 3.1 has no empty identifiers (section 3.1).
    const mayBeEmpty =
      protocolVersion === ProtocolVersion.v5 || (protocolVersion === ProtocolVersion.v311 && cleanStart);
    if (!mayBeEmpty || !rules.allowZeroLengthClientid) {
      return refusal(ReasonCode.clientIdentifierNotValid, 'empty client identifier');
    }
  }
  let chosen = isAssigned ? rules.autoIdPrefix + makeId() : clientId;
  const { requiredPrefix } = rules;
  if (requiredPrefix !== null && !chosen.startsWith(requiredPrefix)) {
    return refusal(ReasonCode.notAuthorized, 'client identifier lacks the required prefix');
  }
  if (rules.useUsernameAsClientid) {
    if (username === null || username === '') {
      return refusal(ReasonCode.notAuthorized, 'no user name to use as client identifier');
    }
    chosen = username;
  }
  return { reasonCode: ReasonCode.success, clientId: chosen, isAssigned, cause: '' };
}

function refusal(reasonCode: ReasonCode, cause: string): ChosenClientId {
  return { reasonCode, clientId: '', isAssigned: false, cause };
}
