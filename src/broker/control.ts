// `$CONTROL/broker/v1`: what administrators ask the broker, in the words of Mosquitto 2.1.
import type { Session } from '../session/session.ts';
import type { ControlEndpoint } from './handle-control.ts';
import { type Logger, LogType, printable } from './log.ts';

/** A listener as `listListeners` tells of it. */
export interface ListenerFacts {
  /** 0 for a unix socket. */
  readonly port: number;
  readonly protocol: 'mqtt' | 'websockets' | 'http_api';
  /** As configured; null: every address. */
  readonly host: string | null;
  readonly unixPath: string | null;
  readonly hasTls: boolean;
  readonly requiresCertificate: boolean;
  readonly isAnonymousAllowed: boolean;
}

type Answer = Record<string, unknown>;

const UNKNOWN = 'Unknown command';

/**
 * Answers `{"commands":[{"command":"NAME","correlationData":"TEXT"}, ...]}` with
 * `{"responses":[{"command":"NAME","data":{...},"correlationData":"TEXT"}, ...]}`. Of a list of commands those behind one
 * that is none are not looked at. Names count whatever their case.
 */
export class BrokerControl implements ControlEndpoint {
  readonly topicName = '$CONTROL/broker/v1';
  private readonly listeners: () => readonly ListenerFacts[];
  private readonly log: Logger;

  constructor(listeners: () => readonly ListenerFacts[], log: Logger) {
    this.listeners = listeners;
    this.log = log;
  }

  answer(session: Session, payload: Uint8Array): string {
    return JSON.stringify({ responses: this.answers(session, payload) });
  }

  private answers(session: Session, payload: Uint8Array): Answer[] {
    const request = parse(payload);
    if (request === undefined) return [failure(UNKNOWN, 'Payload not valid JSON')];
    const commands = member(request, 'commands');
    if (!Array.isArray(commands)) return [failure(UNKNOWN, 'Invalid/missing commands')];
    const answers: Answer[] = [];
    for (const command of commands as unknown[]) {
      if (typeof command !== 'object' || command === null || Array.isArray(command)) {
        return [...answers, failure(UNKNOWN, 'Command not an object')];
      }
      const name = member(command, 'command');
      if (typeof name !== 'string') return [...answers, failure(UNKNOWN, 'Missing command')];
      const correlationData = member(command, 'correlationData');
      if (correlationData !== undefined && typeof correlationData !== 'string') {
        return [...answers, failure(name, 'Invalid correlationData data type.')];
      }
      answers.push({ ...this.run(session, name), ...(correlationData === undefined ? {} : { correlationData }) });
    }
    return answers;
  }

  private run(session: Session, name: string): Answer {
    switch (name.toLowerCase()) {
      case 'listlisteners':
        this.report(session, 'listListeners');
        return { command: 'listListeners', data: { listeners: this.listeners().map(describe) } };
      case 'listplugins':
        this.report(session, 'listPlugins');
        // Plugins of Mosquitto are native code; there are none here.
        return { command: 'listPlugins', data: { plugins: [] } };
      default:
        return failure(name, UNKNOWN);
    }
  }

  private report({ clientId, username }: Session, command: string): void {
    if ((this.log.types & LogType.information) === 0) return;
    const who = `${printable(clientId)}/${username === null ? '(null)' : printable(username)}`;
    this.log.log(LogType.information, `Broker: ${who} | ${command}`);
  }
}

function describe({ port, protocol, host, unixPath, hasTls }: ListenerFacts): Answer {
  return {
    port,
    ...(protocol === 'http_api' ? {} : { protocol: protocol === 'websockets' ? 'mqtt+websockets' : 'mqtt' }),
    ...(host === null ? {} : { 'bind-address': host }),
    ...(unixPath === null ? {} : { 'socket-path': unixPath }),
    tls: hasTls,
  };
}

function failure(command: string, error: string): Answer {
  return { command, error };
}

/** Undefined where the bytes are no JSON. */
function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    return undefined;
  }
}

/** A member of an object, by its name in any case. */
function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  for (const [key, found] of Object.entries(value)) {
    if (key.toLowerCase() === name.toLowerCase()) return found;
  }
  return undefined;
}
