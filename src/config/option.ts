import type { BridgeConfig } from './bridge-config.ts';
import type { Config, ListenerConfig, SecurityConfig } from './config.ts';
import type { ConfigDraft } from './config-draft.ts';
import { ValueError, type ValueKind } from './value-kinds.ts';

/** What an option is about; `security` is the whole broker, or with `per_listener_settings true` a listener. */
export const OptionScope = {
  global: 'global',
  listener: 'listener',
  security: 'security',
  bridge: 'bridge',
  plugin: 'plugin',
} as const;
export type OptionScope = (typeof OptionScope)[keyof typeof OptionScope];

/** One row of the option table. */
export interface Option {
  readonly name: string;
  /** Older names that mean the same. */
  readonly aliases: readonly string[];
  readonly scope: OptionScope;
  /** How the value is written: `N`, `true|false`, `PORT [ADDRESS]`. */
  readonly placeholder: string;
  /** Continues "expected ...". */
  readonly expects: string;
  /** See `ValueKind.mostWords`. */
  readonly mostWords: number | null;
  /** What holds where the option is not given, for people. */
  readonly default: string;
  /** One sentence. */
  readonly summary: string;
  /** Not among Mosquitto's options. */
  readonly isOurs: boolean;
  /** A second one in the same section is an error, as with Mosquitto. Else the last one holds. */
  readonly isOnce: boolean;
  /** Each further one adds to those before. */
  readonly isRepeatable: boolean;
  /** Whatever stands behind the name, or nothing, is as good: Mosquitto does not look at it any more. */
  readonly isValueless: boolean;
  /** Messages do not repeat the value: they end in logs. */
  readonly isSecret: boolean;
  /**
   * @param value text behind the name, without blanks around it, never empty unless `isValueless`
   * @param name the one that was written
   * @throws ValueError
   */
  set(draft: ConfigDraft, value: string, name: string): void;
}

interface Row<T> {
  name: string;
  aliases?: readonly string[];
  kind: ValueKind<T>;
  default: string;
  summary: string;
  isOurs?: boolean;
  isOnce?: boolean;
  isRepeatable?: boolean;
  isValueless?: boolean;
  isSecret?: boolean;
}

function row<T>(scope: OptionScope, given: Row<T>, set: Option['set']): Option {
  return {
    name: given.name,
    aliases: given.aliases ?? [],
    scope,
    placeholder: given.kind.placeholder,
    expects: given.kind.expects,
    mostWords: given.kind.mostWords ?? null,
    default: given.default,
    summary: given.summary,
    isOurs: given.isOurs ?? false,
    isOnce: given.isOnce ?? false,
    isRepeatable: given.isRepeatable ?? false,
    isValueless: given.isValueless ?? false,
    isSecret: given.isSecret ?? false,
    set,
  };
}

/** An option of the broker as a whole; it may stand anywhere in the file. */
export function globalOption<T>(
  given: Row<T> & { apply: (config: Config, value: T, draft: ConfigDraft, name: string) => void },
): Option {
  return row(OptionScope.global, given, (draft, value, name) =>
    given.apply(draft.config, given.kind.read(value), draft, name),
  );
}

/**
 * An option of the listener above it.
 *
 * @param given with `needsListener` it brings no default listener to life
 */
export function listenerOption<T>(
  given: Row<T> & {
    needsListener?: boolean;
    apply: (listener: ListenerConfig, value: T, draft: ConfigDraft) => void;
  },
): Option {
  return row(OptionScope.listener, given, (draft, text) => {
    const value = given.kind.read(text);
    if (given.needsListener === true && draft.listener === null) {
      throw new ValueError("needs a 'listener' above it, which it is for");
    }
    given.apply(draft.listenerFor(given.name), value, draft);
  });
}

/** An option of all listeners, or with `per_listener_settings true` of the one above it. */
export function securityOption<T>(
  given: Row<T> & { apply: (security: Partial<SecurityConfig>, value: T, draft: ConfigDraft) => void },
): Option {
  return row(OptionScope.security, given, (draft, text) => {
    const value = given.kind.read(text);
    given.apply(draft.security, value, draft);
  });
}

/** An option of the `connection` above it. */
export function bridgeOption<T>(
  given: Row<T> & { apply: (bridge: BridgeConfig, value: T, draft: ConfigDraft) => void },
): Option {
  return row(OptionScope.bridge, given, (draft, text) => {
    const value = given.kind.read(text);
    if (draft.bridge === null) throw new ValueError("needs a 'connection' above it, whose bridge it is for");
    given.apply(draft.bridge, value, draft);
  });
}

/** Mosquitto's words for options that still work and will not for ever. */
export function deprecation(name: string, advice = ''): string {
  const text = `The '${name}' option is now deprecated and will be removed in a future version.`;
  return advice === '' ? text : `${text} ${advice}`;
}
