import { type Config, defaultConfig, defaultListenerConfig, type ListenerConfig } from './config.ts';
import type { Place } from './config-error.ts';

/** Port of the listener that exists because its options stand before any `listener`, or behind `port`. */
const DEFAULT_PORT = 1883;

/** A configuration while its file is read: what is set so far, where it was set, and which listener is meant now. */
export class ConfigDraft {
  readonly config: Config = defaultConfig();
  /** Lines for the log: what works, yet deserves a word. */
  readonly notices: string[] = [];
  /** Names of the options that were given. */
  readonly given = new Set<string>();
  /** These are one value for all listeners in a file, and one value a listener in a configuration. */
  setTcpNodelay: boolean | null = null;
  websocketsHeadersSize: number | null = null;
  private readonly places = new Map<ListenerConfig | null, Map<string, Place>>();
  private current: ListenerConfig | null = null;
  private default: ListenerConfig | null = null;

  /** Begins the section of a listener. */
  addListener(listener: ListenerConfig): void {
    this.config.listeners.push(listener);
    this.current = listener;
  }

  /** The listener whose section this is. */
  get section(): ListenerConfig | null {
    return this.current;
  }

  /** The listener that an option is for. Before any `listener` that is the default listener, which it brings to life. */
  listenerFor(option: string): ListenerConfig {
    if (this.current !== null) return this.current;
    this.notices.push(
      `Creating a listener on port ${DEFAULT_PORT} for '${option}', which stands before any 'listener'. ` +
        `Move it behind the 'listener' it is meant for.`,
    );
    return this.defaultListener();
  }

  /** The default listener, which from now on is the one that options are for. */
  defaultListener(): ListenerConfig {
    if (this.default === null) {
      this.default = { ...defaultListenerConfig(), port: DEFAULT_PORT };
      this.config.listeners.push(this.default);
    }
    this.current = this.default;
    return this.default;
  }

  /** Remembers where an option was set: of a listener, or with null of the broker. */
  record(listener: ListenerConfig | null, option: string, place: Place): void {
    this.given.add(option);
    let places = this.places.get(listener);
    if (places === undefined) this.places.set(listener, (places = new Map()));
    places.set(option, place);
  }

  placeOf(listener: ListenerConfig | null, option: string): Place | null {
    return this.places.get(listener)?.get(option) ?? null;
  }
}
