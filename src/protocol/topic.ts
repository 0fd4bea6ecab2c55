/** Topic Names and Topic Filters (v5 section 4.7, v3.1.1 section 4.7) on JavaScript strings and on bytes. */

const PLUS = 0x2b;
const HASH = 0x23;
const SLASH = 0x2f;

/** Mosquitto's bound, 200 slashes, which keeps recursion and work per topic bounded. */
export const MAX_TOPIC_LEVELS = 201;

/** True for a Topic Name that may be published: not empty, no wildcard (v5 [MQTT-4.7.0-1], [MQTT-4.7.3-1]). */
export function isValidTopicName(topicName: string): boolean {
  if (topicName.length === 0) return false;
  let levels = 1;
  for (let i = 0; i < topicName.length; i++) {
    const code = topicName.charCodeAt(i);
    if (code === PLUS || code === HASH || code === 0) return false;
    if (code === SLASH && ++levels > MAX_TOPIC_LEVELS) return false;
  }
  return true;
}

/** `isValidTopicName` on UTF-8 bytes, without decoding them. */
export function isValidTopicNameBytes(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return false;
  let levels = 1;
  for (let i = start; i < end; i++) {
    const code = bytes[i]!;
    if (code === PLUS || code === HASH) return false;
    if (code === SLASH && ++levels > MAX_TOPIC_LEVELS) return false;
  }
  return true;
}

/** True for a Topic Filter: wildcards fill whole levels and `#` is last (v5 [MQTT-4.7.1-1], [MQTT-4.7.1-2]). */
export function isValidTopicFilter(topicFilter: string): boolean {
  const length = topicFilter.length;
  if (length === 0) return false;
  let levels = 1;
  for (let i = 0; i < length; i++) {
    const code = topicFilter.charCodeAt(i);
    if (code === PLUS) {
      if (i > 0 && topicFilter.charCodeAt(i - 1) !== SLASH) return false;
      if (i + 1 < length && topicFilter.charCodeAt(i + 1) !== SLASH) return false;
    } else if (code === HASH) {
      if (i > 0 && topicFilter.charCodeAt(i - 1) !== SLASH) return false;
      if (i + 1 !== length) return false;
    } else if (code === 0) return false;
    else if (code === SLASH && ++levels > MAX_TOPIC_LEVELS) return false;
  }
  return true;
}

export function hasWildcard(topicFilter: string): boolean {
  return topicFilter.includes('+') || topicFilter.includes('#');
}

const SHARE_PREFIX = '$share/';

/** True for filters that ask for a Shared Subscription, well-formed or not. */
export function isSharedFilter(topicFilter: string): boolean {
  return topicFilter.startsWith(SHARE_PREFIX);
}

/**
 * Splits `$share/{ShareName}/{filter}`.
 *
 * @returns null where ShareName is empty or holds `/`, `+`, `#`, or the filter behind it is not valid
 *   (v5 [MQTT-4.8.2-1], [MQTT-4.8.2-2])
 */
export function parseSharedFilter(topicFilter: string): { shareName: string; topicFilter: string } | null {
  const slash = topicFilter.indexOf('/', SHARE_PREFIX.length);
  if (slash <= SHARE_PREFIX.length) return null;
  const shareName = topicFilter.slice(SHARE_PREFIX.length, slash);
  const inner = topicFilter.slice(slash + 1);
  if (hasWildcard(shareName) || !isValidTopicFilter(inner)) return null;
  return { shareName, topicFilter: inner };
}

/**
 * Whether a Topic Name matches a Topic Filter (v5 section 4.7.1). `a/#` matches `a`; a filter that starts with a
 * wildcard does not match a name that starts with `$` (v5 [MQTT-4.7.2-1]). Both must be valid.
 */
export function topicMatches(topicFilter: string, topicName: string): boolean {
  const first = topicFilter.charCodeAt(0);
  if ((first === PLUS || first === HASH) && topicName.startsWith('$')) return false;
  let f = 0;
  let t = 0;
  for (;;) {
    const code = topicFilter.charCodeAt(f);
    if (code === HASH) return true;
    if (code === PLUS) {
      f++;
      while (t < topicName.length && topicName.charCodeAt(t) !== SLASH) t++;
    } else {
      while (f < topicFilter.length && topicFilter.charCodeAt(f) !== SLASH) {
        if (t >= topicName.length || topicFilter.charCodeAt(f) !== topicName.charCodeAt(t)) return false;
        f++;
        t++;
      }
      if (t < topicName.length && topicName.charCodeAt(t) !== SLASH) return false;
    }
    const filterEnds = f >= topicFilter.length;
    const nameEnds = t >= topicName.length;
    if (filterEnds && nameEnds) return true;
    if (filterEnds) return false;
    if (nameEnds) return topicFilter.length === f + 2 && topicFilter.charCodeAt(f + 1) === HASH;
    f++;
    t++;
  }
}
