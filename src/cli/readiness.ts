import { closeSync, writeSync } from 'node:fs';

/** Who waits to hear whether the broker has started. */
export interface Readiness {
  /** Another process, which does not see our stderr. */
  readonly isRemote: boolean;
  ready(): void;
  /** @param text lines for stderr, without the last line break */
  failed(status: number, text: string): void;
}

/** Names the descriptor on which a broker in the background tells its starter how it went. */
export const READY_FD_VARIABLE = 'MARTLET_READY_FD';

/** A person at a terminal, or the process that put us into the background. */
export function openReadiness(env: NodeJS.ProcessEnv): Readiness {
  const fd = Number(env[READY_FD_VARIABLE] ?? '');
  delete env[READY_FD_VARIABLE];
  if (!Number.isInteger(fd) || fd < 3) {
    return { isRemote: false, ready() {}, failed: (_, text) => void process.stderr.write(`${text}\n`) };
  }
  const tell = (text: string) => {
    try {
      writeSync(fd, text);
      closeSync(fd);
    } catch {
      // the starter is gone; nobody waits any more
    }
  };
  return {
    isRemote: true,
    ready: () => tell('0\n'),
    failed: (status, text) => tell(`${status}\n${text}`),
  };
}
