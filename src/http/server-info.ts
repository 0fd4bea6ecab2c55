/** What the program that starts the HTTP side tells of itself. */
export interface ServerInfo {
  readonly version: string;
  readonly listeners: readonly ListenerStatus[];
  /** Wall time, milliseconds since 1970. */
  readonly startedAtMs: number;
}

/** A listener for MQTT clients. */
export interface ListenerStatus {
  /** For people, such as `MQTT` or `MQTT over WebSocket`. */
  readonly name: string;
  readonly url: string;
  /** Connections now. */
  connections(): number;
}
