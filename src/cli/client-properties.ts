// `-D COMMAND NAME VALUE`: properties of MQTT 5 on the command line.
import type { Properties } from '../protocol/properties.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import { ClientUsageError, leadingInteger } from './client-usage-error.ts';

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

/** Packets that have properties and that these commands do not let anybody set. */
const commandsWithoutProperties = new Set(['puback', 'pubrec', 'pubrel', 'pubcomp', 'auth']);

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
  if (commandWord === undefined || name === undefined) throw notEnough();
  const command = commandWord.toLowerCase();
  const isOurs = isPropertyCommand(command, properties);
  if (!isOurs && !commandsWithoutProperties.has(command)) throw usage('Invalid command given in --property argument.');
  const row = rows.get(name);
  if (row === undefined) throw usage('Invalid property name given in --property argument.');
  if (!isOurs) throw usage(`${name} property not supported for ${commandWord} in --property argument.`);
  if (!row.on.includes(command)) throw usage(`${name} property not allowed for ${commandWord} in --property argument.`);
  if (value === undefined) throw notEnough();
  const target = (properties[command] ??= {});
  if (row.kind === 'pair') {
    const second = words[3];
    if (second === undefined) throw notEnough();
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
  if (row.kind === 'text') return value;
  if (row.kind === 'binary') return encodeUtf8(value);
  const parsed = leadingInteger(value);
  if (parsed >= 0 && parsed <= row.maximum) return parsed;
  throw usage(`Property value (${parsed}) out of range for property ${name}.`);
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
