import { checkBridges } from './check-bridges.ts';
import { checkHttpApi } from './check-http-api.ts';
import { checkTls } from './check-tls.ts';
import type { ListenerConfig } from './config.ts';
import type { ConfigDraft } from './config-draft.ts';
import type { ConfigProblem } from './config-error.ts';

/** What no single option can tell: options that need each other, or exclude each other. */
export function checkConfig(draft: ConfigDraft): ConfigProblem[] {
  return [...draft.config.listeners.flatMap((listener) => checkListener(draft, listener)), ...checkBridges(draft)];
}

function checkListener(draft: ConfigDraft, listener: ListenerConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const complain = (option: string, text: string) => {
    const place = draft.placeOf(listener, option);
    if (place !== null) problems.push({ ...place, text: `${option}: ${text}` });
  };
  checkTls(draft, listener, complain);
  checkHttpApi(draft, listener, complain);
  return problems;
}
