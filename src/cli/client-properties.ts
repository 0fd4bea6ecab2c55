// `-D COMMAND NAME VALUE`: properties of MQTT 5 on the command line.
import { nearestName } from '../config/nearest-name.ts';
import type { Properties } from '../protocol/properties.ts';
import { isEncodableString } from '../protocol/utf8.ts';
import { ClientUsageError, leadingInteger, wholeInteger } from './client-usage-error.ts';
import { encodeWord } from './client-words.ts';

/** Properties given for each packet; null where there are none. */
export interface CommandProperties {
  connect: Properties | null;
  publish: Properties | null;
  subscribe: Properties | null;
  unsubscribe: Properties | null;
  disconnect: Properties | null;
  will: Properties | null;
}
type PropertyCommand = keyof CommandProperties;

export function noProperties(): CommandProperties {
  return { connect: null, publish: null, subscribe: null, unsubscribe: null, disconnect: null, will: null };
}

const acknowledgement = ['user-property', 'reason-string'];
/** Packets that nobody can set properties of here, and those that they have. */
const otherCommands: Readonly<Record<string, readonly string[]>> = {
  puback: acknowledgement,
  pubrec: acknowledgement,
  pubrel: acknowledgement,
  pubcomp: acknowledgement,
  suback: acknowledgement,
  unsuback: acknowledgement,
  auth: [...acknowledgement, 'authentication-method', 'authentication-data'],
};

type Kind = 'text' | 'binary' | 'pair' | 'number' | 'identifier';

interface PropertyRow {
  readonly field: keyof Properties;
  readonly kind: Kind;
  /** Of numbers. */
  readonly maximum: number;
  /** The standard forbids 0. */
  readonly notZero: boolean;
  /** Where a client may send it (v5 table 2-4). */
  readonly on: readonly PropertyCommand[];
}

const U8 = 0xff;
const U16 = 0xffff;
const U32 = 0xffff_ffff;
const VARINT = 268_435_455;
const message = ['publish', 'will'] as const;
const connect = ['connect'] as const;

function text(field: keyof Properties, on: readonly PropertyCommand[]): PropertyRow {
  return { field, kind: 'text', maximum: 0, notZero: false, on };
}

function binary(field: keyof Properties, on: readonly PropertyCommand[]): PropertyRow {
  return { field, kind: 'binary', maximum: 0, notZero: false, on };
}

function number(
  field: keyof Properties,
  maximum: number,
  on: readonly PropertyCommand[],
  notZero = false,
): PropertyRow {
  return { field, kind: 'number', maximum, notZero, on };
}

/** By the name of the standard, with `-` between words. What only servers send is known, and allowed nowhere. */
const rows = new Map<string, PropertyRow>([
  ['payload-format-indicator', number('payloadFormatIndicator', U8, message)],
  ['message-expiry-interval', number('messageExpiryInterval', U32, message)],
  ['content-type', text('contentType', message)],
  ['response-topic', text('responseTopic', message)],
  ['correlation-data', binary('correlationData', message)],
  [
    'subscription-identifier',
    { field: 'subscriptionIdentifiers', kind: 'identifier', maximum: VARINT, notZero: true, on: ['subscribe'] },
  ],
  ['session-expiry-interval', number('sessionExpiryInterval', U32, ['connect', 'disconnect'])],
  ['authentication-method', text('authenticationMethod', connect)],
  ['authentication-data', binary('authenticationData', connect)],
  ['request-problem-information', number('requestProblemInformation', U8, connect)],
  ['will-delay-interval', number('willDelayInterval', U32, ['will'])],
  ['request-response-information', number('requestResponseInformation', U8, connect)],
  ['reason-string', text('reasonString', ['disconnect'])],
  ['receive-maximum', number('receiveMaximum', U16, connect, true)],
  ['topic-alias-maximum', number('topicAliasMaximum', U16, connect)],
  ['topic-alias', number('topicAlias', U16, ['publish'], true)],
  [
    'user-property',
    {
      field: 'userProperties',
      kind: 'pair',
      maximum: 0,
      notZero: false,
      on: ['connect', 'publish', 'subscribe', 'unsubscribe', 'disconnect', 'will'],
    },
  ],
  ['maximum-packet-size', number('maximumPacketSize', U32, connect, true)],
  ['assigned-client-identifier', text('assignedClientIdentifier', [])],
  ['server-keep-alive', number('serverKeepAlive', U16, [])],
  ['response-information', text('responseInformation', [])],
  ['server-reference', text('serverReference', [])],
  ['maximum-qos', number('maximumQoS', U8, [])],
  ['retain-available', number('retainAvailable', U8, [])],
  ['wildcard-subscription-available', number('wildcardSubscriptionAvailable', U8, [])],
  ['subscription-identifier-available', number('subscriptionIdentifierAvailable', U8, [])],
  ['shared-subscription-available', number('sharedSubscriptionAvailable', U8, [])],
]);

/**
 * Takes one `-D` from the words behind it and adds it to `properties`.
 *
 * @returns how many words it took
 * @throws ClientUsageError
 */
export function takeProperty(words: readonly string[], properties: CommandProperties): number {
  const [commandWord, name, value] = words;
  if (commandWord === undefined || name === undefined || value === undefined) throw notEnough();
  const command = commandWord.toLowerCase();
  const isOurs = isPropertyCommand(command, properties);
  const others = Object.hasOwn(otherCommands, command) ? otherCommands[command] : undefined;
  if (!isOurs && others === undefined) {
    throw usage(`Invalid command ${commandWord} given in --property argument.`);
  }
  const row = rows.get(name);
  if (row === undefined) {
    const nearest = nearestName(name, rows.keys());
    const hint = nearest === null ? '' : ` Did you mean '${nearest}'?`;
    throw usage(`Invalid property name ${name} given in --property argument.${hint}`);
  }
  // A publish of ours may not name a subscription (v5 [MQTT-3.3.4-6]).
  const isServers = command === 'publish' && name === 'subscription-identifier';
  if (others?.includes(name) === true || isServers) {
    throw usage(`${name} property not supported for ${commandWord} in --property argument.`);
  }
  if (!isOurs || !row.on.includes(command))
    throw usage(`${name} property not allowed for ${commandWord} in --property argument.`);
  const target = (properties[command] ??= {});
  if (row.kind === 'pair') {
    const second = words[3];
    if (second === undefined) throw notEnough();
    checkText(name, value);
    checkText(name, second);
    (target.userProperties ??= []).push([value, second]);
    return 4;
  }
  const where = `Error in ${command.toUpperCase()} properties:`;
  if (target[row.field] !== undefined) {
    throw new ClientUsageError(`${where} Duplicate property in property list`, 1);
  }
  const parsed = parseValue(row, name, value);
  if (parsed === 0 && row.notZero) {
    const problem = 'A network protocol error occurred when communicating with the broker.';
    throw new ClientUsageError(`${where} ${problem}`, 1);
  }
  Object.assign(target, { [row.field]: row.kind === 'identifier' ? [parsed] : parsed });
  return 3;
}

function parseValue(row: PropertyRow, name: string, value: string): string | Uint8Array | number {
  if (row.kind === 'text') {
    checkText(name, value);
    return value;
  }
  if (row.kind === 'binary') {
    const bytes = encodeWord(value);
    if (bytes.length > U16) throw usage(`Property value too long for property ${name}.`);
    return bytes;
  }
  const parsed = row.maximum > U16 ? wholeInteger(value) : leadingInteger(value);
  if (parsed === null) throw usage(`Property value '${value}' not a number.`);
  if (parsed >= 0 && parsed <= row.maximum) return parsed;
  throw usage(`Property value (${parsed}) out of range for property ${name}.`);
}

/** @throws ClientUsageError for what is no UTF-8 string of MQTT */
function checkText(name: string, value: string): void {
  if (isEncodableString(value)) return;
  throw new ClientUsageError(`Error adding property ${name}: its value is not UTF-8, or longer than 65535 bytes.`, 1);
}

function isPropertyCommand(command: string, properties: CommandProperties): command is PropertyCommand {
  return Object.hasOwn(properties, command);
}

function notEnough(): ClientUsageError {
  return usage('--property argument given but not enough arguments specified.');
}

function usage(message: string): ClientUsageError {
  return new ClientUsageError(`Error: ${message}`, 2);
}
