import type { Config, ListenerConfig } from './config.ts';
import type { ConfigDraft } from './config-draft.ts';
import type { ValueKind } from './value-kinds.ts';

export const OptionScope = { global: 'global', listener: 'listener' } as const;
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
  /**
   * @param value text behind the name, without blanks around it, never empty
   * @throws ValueError
   */
  set(draft: ConfigDraft, value: string): void;
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
}

function row<T>(scope: OptionScope, given: Row<T>, set: (draft: ConfigDraft, value: string) => void): Option {
  return {
    name: given.name,
    aliases: given.aliases ?? [],
    scope,
    placeholder: given.kind.placeholder,
    expects: given.kind.expects,
    default: given.default,
    summary: given.summary,
    isOurs: given.isOurs ?? false,
    isOnce: given.isOnce ?? false,
    isRepeatable: given.isRepeatable ?? false,
    set,
  };
}

/** An option of the broker as a whole; it may stand anywhere in the file. */
export function globalOption<T>(
  given: Row<T> & { apply: (config: Config, value: T, draft: ConfigDraft) => void },
): Option {
  return row(OptionScope.global, given, (draft, value) => given.apply(draft.config, given.kind.read(value), draft));
}

/** An option of the listener above it. */
export function listenerOption<T>(given: Row<T> & { apply: (listener: ListenerConfig, value: T) => void }): Option {
  return row(OptionScope.listener, given, (draft, text) => {
    const value = given.kind.read(text);
    given.apply(draft.listenerFor(given.name), value);
  });
}
