// What a user is told when a connection ends, and with which exit status: the words and numbers of Mosquitto's clients.
import { type CloseCause, CloseKind } from '../client/client-handlers.ts';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { TransportError, TransportFailure } from '../transport/client-transport.ts';
import type { ConnectingCommand } from './client-options.ts';

export interface Outcome {
  /** For standard error. */
  readonly messages: readonly string[];
  readonly status: number;
}

/** Statuses of Mosquitto's library that scripts look at. */
export const ExitStatus = {
  success: 0,
  failure: 1,
  protocolError: 2,
  invalidInput: 3,
  notConnected: 4,
  connectionLost: 7,
  tlsError: 8,
  authorization: 11,
  proxyError: 16,
  qosNotSupported: 24,
  packetTooLarge: 25,
  timeout: 27,
  /** Stopped before there was a connection. */
  stoppedEarly: 255,
} as const;

const PROTOCOL_ERROR = 'Error: A network protocol error occurred when communicating with the broker.';

const returnCodes = [
  'Connection Accepted.',
  'Connection Refused: unacceptable protocol version.',
  'Connection Refused: identifier rejected.',
  'Connection Refused: broker unavailable.',
  'Connection Refused: bad user name or password.',
  'Connection Refused: not authorised.',
];

const reasons = new Map<number, string>([
  [0x00, 'Success'],
  [0x04, 'Disconnect with Will Message'],
  [0x10, 'No matching subscribers'],
  [0x11, 'No subscription existed'],
  [0x18, 'Continue authentication'],
  [0x19, 'Re-authenticate'],
  [0x80, 'Unspecified error'],
  [0x81, 'Malformed Packet'],
  [0x82, 'Protocol Error'],
  [0x83, 'Implementation specific error'],
  [0x84, 'Unsupported Protocol Version. Try connecting to an MQTT v5 broker, or use MQTT v3.x mode.'],
  [0x85, 'Client Identifier not valid'],
  [0x86, 'Bad User Name or Password'],
  [0x87, 'Not authorized'],
  [0x88, 'Server unavailable'],
  [0x89, 'Server busy'],
  [0x8a, 'Banned'],
  [0x8b, 'Server shutting down'],
  [0x8c, 'Bad authentication method'],
  [0x8d, 'Keep Alive timeout'],
  [0x8e, 'Session taken over'],
  [0x8f, 'Topic Filter invalid'],
  [0x90, 'Topic Name invalid'],
  [0x91, 'Packet Identifier in use'],
  [0x92, 'Packet Identifier not found'],
  [0x93, 'Receive Maximum exceeded'],
  [0x94, 'Topic Alias invalid'],
  [0x95, 'Packet too large'],
  [0x96, 'Message rate too high'],
  [0x97, 'Quota exceeded'],
  [0x98, 'Administrative action'],
  [0x99, 'Payload format invalid'],
  [0x9a, 'Retain not supported'],
  [0x9b, 'QoS not supported'],
  [0x9c, 'Use another server'],
  [0x9d, 'Server moved'],
  [0x9e, 'Shared Subscriptions not supported'],
  [0x9f, 'Connection rate exceeded'],
  [0xa0, 'Maximum connect time'],
  [0xa1, 'Subscription identifiers not supported'],
  [0xa2, 'Wildcard Subscriptions not supported'],
]);

/** A reason code of MQTT 5 in Mosquitto's words. */
export function reasonText(reasonCode: number): string {
  return reasons.get(reasonCode) ?? 'Unknown reason';
}

/** strerror(3) of what a connection attempt meets. */
const systemErrors: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  EMFILE: 'Too many open files',
  ENETUNREACH: 'Network is unreachable',
  ENOENT: 'No such file or directory',
  ENOTSOCK: 'Socket operation on non-socket',
  EPERM: 'Operation not permitted',
  EPROTO: 'Protocol error',
  EPROTOTYPE: 'Protocol wrong type for socket',
  ETIMEDOUT: 'Connection timed out',
};

/** The end of a connection that nobody asked for. */
export function describeClose(command: ConnectingCommand, cause: CloseCause, version: ProtocolVersion): Outcome {
  switch (cause.kind) {
    case CloseKind.refused:
      return describeRefusal(command, cause.reasonCode, version);
    case CloseKind.serverDisconnect:
      // mosquitto_sub takes any DISCONNECT for the end it waited for.
      return command === 'sub' || command === 'rr'
        ? { messages: [], status: ExitStatus.success }
        : { messages: ['Error: The client is not currently connected.'], status: ExitStatus.notConnected };
    case CloseKind.protocolError:
      return { messages: [PROTOCOL_ERROR], status: ExitStatus.protocolError };
    case CloseKind.requested:
      return { messages: [], status: ExitStatus.success };
    case CloseKind.keepAliveTimeout:
    case CloseKind.connectTimeout:
      return lost;
    case CloseKind.transport:
      return cause.error instanceof TransportError ? describeTransport(cause.error) : lost;
  }
}

const lost: Outcome = { messages: ['Error: The connection was lost.'], status: ExitStatus.connectionLost };

function describeRefusal(command: ConnectingCommand, reasonCode: number, version: ProtocolVersion): Outcome {
  const isV5 = version === ProtocolVersion.v5;
  const text = isV5 ? reasonText(reasonCode) : (returnCodes[reasonCode] ?? 'Connection Refused: unknown reason.');
  const messages = [`Connection error: ${text}`];
  if (command === 'pub') {
    messages.push(!isV5 && reasonCode < returnCodes.length ? 'Error: The connection was refused.' : PROTOCOL_ERROR);
  }
  return { messages, status: reasonCode };
}

function describeTransport(error: TransportError): Outcome {
  const { failure, systemCode } = error;
  switch (failure) {
    case TransportFailure.lookup:
      return { messages: ['Unable to connect (Lookup error.).'], status: ExitStatus.failure };
    case TransportFailure.connect: {
      const text = systemErrors[systemCode ?? ''] ?? error.message;
      return { messages: [`Error: ${text}`], status: ExitStatus.failure };
    }
    case TransportFailure.tls: {
      const isOurs = systemCode?.startsWith('ERR_OSSL') === true || systemCode?.startsWith('ERR_BORING') === true;
      const what = isOurs ? 'Unable to connect (A TLS error occurred.).' : 'Error: A TLS error occurred.';
      const problem = /bad.decrypt/i.test(error.message) ? 'the pass phrase of the key is wrong' : error.message;
      const why = `${isOurs ? 'TLS could not be set up' : 'The TLS handshake failed'}: ${problem}.`;
      return { messages: [what, why], status: isOurs ? ExitStatus.failure : ExitStatus.tlsError };
    }
    case TransportFailure.certificate: {
      const why = `The certificate of the server is not accepted: ${certificateProblem(error)}.`;
      return { messages: ['Error: A TLS error occurred.', why], status: ExitStatus.tlsError };
    }
    case TransportFailure.proxy:
      return describeProxy(error);
    case TransportFailure.webSocket:
      return { messages: [`Error: ${error.message}.`], status: ExitStatus.protocolError };
    case TransportFailure.lost:
      return lost;
  }
}

function describeProxy({ systemCode, message }: TransportError): Outcome {
  const why = `The proxy: ${message}.`;
  switch (systemCode) {
    case 'EACCES':
      return { messages: ['Error: Authorisation failed.', why], status: ExitStatus.authorization };
    case 'ENOTCONN':
      return { messages: ['Error: The client is not currently connected.', why], status: ExitStatus.notConnected };
    default:
      return { messages: ['Error: Proxy error.', why], status: ExitStatus.proxyError };
  }
}

const untrusted = 'none of the trusted certificates signed it';
const certificateProblems: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: 'it names another host',
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
};

/** In words, since TLS libraries often give only a code. */
function certificateProblem({ systemCode, message }: TransportError): string {
  const code = systemCode ?? '';
  const words = certificateProblems[code] ?? message;
  return words === code || code === '' ? words : `${words} (${code})`;
}

/** What the broker said of a message that it did not take. */
export function describePublishFailure(packetId: number, reasonCode: number, properties: Properties | null): string {
  const more = properties?.reasonString;
  return `Warning: Publish ${packetId} failed: ${reasonText(reasonCode)}.${more === undefined ? '' : `\n${more}`}`;
}

/** Why `publish` did not take a message. mosquitto_pub leaves with 0 after the first two, so we do. */
export function describePublishRefusal(reasonCode: number): { message: string; status: number } {
  switch (reasonCode) {
    case ReasonCode.topicNameInvalid:
      return {
        message: "Error: Invalid input. Does your topic contain '+' or '#'?",
        status: ExitStatus.success,
      };
    case ReasonCode.qosNotSupported:
      return {
        message: 'Error: Message QoS not supported on broker, try a lower QoS.',
        status: ExitStatus.success,
      };
    case ReasonCode.packetTooLarge:
      return { message: 'Error: Message payload is too large.', status: ExitStatus.failure };
    default:
      return { message: `Error: ${reasonText(reasonCode)}.`, status: ExitStatus.failure };
  }
}
