import { type BridgeConfig, defaultBridgeConfig } from './bridge-config.ts';
import {
  type Config,
  defaultConfig,
  defaultListenerConfig,
  defaultSecurityConfig,
  type ListenerConfig,
  type SecurityConfig,
} from './config.ts';
import type { ConfigProblem, Place } from './config-error.ts';
import { ValueError } from './value-kinds.ts';

/** Port of the listener that exists because its options stand before any `listener`, or behind `port`. */
const DEFAULT_PORT = 1883;

/** What the sections of one file are about; a file that is included begins without any, as in Mosquitto. */
interface Section {
  listener: ListenerConfig | null;
  bridge: BridgeConfig | null;
  /** The option that named a plugin of Mosquitto, whose own options may follow. */
  plugin: string | null;
}

/** A configuration while its files are read: what is set so far, where it was set, and which listener is meant now. */
export class ConfigDraft {
  readonly config: Config = defaultConfig();
  /** Lines for the log: what works, yet deserves a word. */
  readonly notices: string[] = [];
  /** Names of the options that were given. */
  readonly given = new Set<string>();
  /** These are one value for all listeners in a file, and one value a listener in a configuration. */
  setTcpNodelay: boolean | null = null;
  websocketsHeadersSize: number | null = null;
  isPerListener = false;
  readonly bridges: BridgeConfig[] = [];
  /** Native plugins of Mosquitto that were asked for: what each one is refused with. */
  readonly plugins: ConfigProblem[] = [];
  /** The line at hand. */
  place: Place = { file: '', line: 0 };
  /** Reads the files of a folder at this place; set by who reads the files. */
  include: (folder: string) => void = () => {};
  private readonly places = new Map<object | null, Map<string, Place>>();
  private readonly securities = new Map<ListenerConfig, Partial<SecurityConfig>>();
  /** With `per_listener_settings true`, above any listener: for the default listener, if there comes to be one. */
  private readonly earlySecurity: Partial<SecurityConfig> = {};
  private readonly sections: Section[] = [emptySection()];
  private default: ListenerConfig | null = null;

  private get section(): Section {
    return this.sections.at(-1)!;
  }

  enterFile(): void {
    this.sections.push(emptySection());
  }

  leaveFile(): void {
    this.sections.pop();
  }

  /** Begins the section of a listener. */
  addListener(listener: ListenerConfig): void {
    this.config.listeners.push(listener);
    this.section.listener = listener;
  }

  /** The listener whose section this is. */
  get listener(): ListenerConfig | null {
    return this.section.listener;
  }

  /** The listener that an option is for. Before any `listener` that is the default listener, which it brings to life. */
  listenerFor(option: string): ListenerConfig {
    if (this.section.listener !== null) return this.section.listener;
    if (this.default === null) {
      this.notices.push(
        `Creating a listener on port ${DEFAULT_PORT} for '${option}', which stands before any 'listener'. ` +
          `Move it behind the 'listener' it is meant for.`,
      );
    }
    return this.defaultListener();
  }

  /** The default listener, which from now on is the one that options are for. */
  defaultListener(): ListenerConfig {
    if (this.default === null) {
      this.default = { ...defaultListenerConfig(), port: DEFAULT_PORT };
      this.config.listeners.push(this.default);
      this.securities.set(this.default, this.earlySecurity);
    }
    this.section.listener = this.default;
    return this.default;
  }

  /** What a listener has of its own in place of what holds for all. */
  ownSecurity(listener: ListenerConfig): Partial<SecurityConfig> {
    let security = this.securities.get(listener);
    if (security === undefined) this.securities.set(listener, (security = {}));
    return security;
  }

  /** Where options go that are for all listeners, or with `per_listener_settings true` for the one above. */
  get security(): Partial<SecurityConfig> {
    if (!this.isPerListener) return this.config.security;
    const { listener } = this.section;
    return listener === null ? this.earlySecurity : this.ownSecurity(listener);
  }

  /** To which of them an option belongs: itself stands for what is above any listener. */
  get securityOwner(): object | null {
    return this.isPerListener ? (this.section.listener ?? this.earlySecurity) : null;
  }

  /** @throws ValueError where the name is taken */
  addBridge(name: string): void {
    if (this.bridges.some((one) => one.name === name)) throw new ValueError(`there is a connection '${name}' above`);
    const bridge = defaultBridgeConfig(name);
    this.bridges.push(bridge);
    this.section.bridge = bridge;
  }

  /** The bridge whose section this is. */
  get bridge(): BridgeConfig | null {
    return this.section.bridge;
  }

  get plugin(): string | null {
    return this.section.plugin;
  }

  set plugin(option: string) {
    this.section.plugin = option;
  }

  /** Remembers where an option was set: of a listener or a bridge, or with null of the broker. */
  record(owner: object | null, option: string, place: Place): void {
    this.given.add(option);
    let places = this.places.get(owner);
    if (places === undefined) this.places.set(owner, (places = new Map()));
    places.set(option, place);
  }

  placeOf(owner: object | null, option: string): Place | null {
    return this.places.get(owner)?.get(option) ?? null;
  }

  /** Gives each listener what holds for it. Answers what is left over. */
  finish(): ConfigProblem[] {
    for (const listener of this.config.listeners) {
      if (this.setTcpNodelay !== null) listener.setTcpNodelay = this.setTcpNodelay;
      if (this.websocketsHeadersSize !== null) listener.websocketsHeadersSize = this.websocketsHeadersSize;
      const own = this.securities.get(listener) ?? {};
      if (this.isPerListener) listener.security = { ...defaultSecurityConfig(), ...own };
      else if (Object.keys(own).length > 0) listener.security = { ...this.config.security, ...own };
    }
    if (this.default !== null) return [];
    return Array.from(this.places.get(this.earlySecurity) ?? [], ([option, place]) => ({
      ...place,
      text: `${option}: with per_listener_settings true it is for the listener above it, and there is none`,
    }));
  }
}

function emptySection(): Section {
  return { listener: null, bridge: null, plugin: null };
}
