/** For a program on Node.js: nothing that would change what Node.js does, such as NODE_OPTIONS. */
export function nodeEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ['PATH', 'LD_LIBRARY_PATH', 'OPENSSL_CONF', 'TZ']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
