import { type Config, type ListenerConfig, ListenerProtocol, securityOf } from './config.ts';

/** Warnings of listeners that let nobody in: seldom what somebody wants. One for all where all are alike. */
export function closedDoors(config: Config): string[] {
  const closed = config.listeners.filter((listener) => isClosed(config, listener));
  if (closed.length === 0) return [];
  if (closed.length === config.listeners.length && closed.every(({ security }) => security === null)) {
    return [
      `Warning: allow_anonymous is false${config.security.allowAnonymous === null ? ' by default' : ''} and there is ` +
        'no password_file: every client will be refused. Set allow_anonymous true, or name a password_file.',
    ];
  }
  return closed.map(({ port, unixPath }) => {
    const where = unixPath === null ? `port ${port}` : unixPath;
    return (
      `Warning: every client on ${where} will be refused: there allow_anonymous is false and there is no ` +
      'password_file. Set listener_allow_anonymous true for that listener, or name a password_file.'
    );
  });
}

/** Names that a certificate or a pre-shared key proves get in without either. */
function isClosed(config: Config, listener: ListenerConfig): boolean {
  const { allowAnonymous, passwordFile } = securityOf(config, listener);
  const { protocol, useIdentityAsUsername, useSubjectAsUsername } = listener;
  if (protocol === ListenerProtocol.httpApi || useIdentityAsUsername || useSubjectAsUsername) return false;
  return allowAnonymous !== true && passwordFile === null;
}
