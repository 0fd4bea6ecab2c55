// `ciphers` and `ciphers_tls1.3`. The runtime's TLS library reads a cipher list in its own way: it has not all classes of
// OpenSSL, so a `!CLASS` that it does not know would leave in what OpenSSL takes out. Therefore the list is read here, by
// OpenSSL's rules, over the ciphers that the library has.

/** A list that cannot be had; the message continues the option's name and value. */
export class CipherListError extends Error {
  override readonly name = 'CipherListError';
}

interface Cipher {
  readonly name: string;
  /** OpenSSL's classes that it belongs to. */
  readonly classes: ReadonlySet<string>;
  readonly bits: number;
}

/** TLS 1.2 ciphers of the library that OpenSSL has as well, in the order of OpenSSL 3. */
const CIPHERS: readonly Cipher[] = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
  'AES256-SHA',
  'AES128-SHA',
].map(describeCipher);

function describeCipher(name: string): Cipher {
  const isEcdhe = name.startsWith('ECDHE-');
  const classes = [name, 'ALL', 'HIGH'];
  if (isEcdhe) classes.push('kECDHE', 'kEECDH', 'ECDHE', 'EECDH', 'ECDH');
  else classes.push('kRSA', 'RSA');
  if (name.startsWith('ECDHE-ECDSA-')) classes.push('aECDSA', 'ECDSA');
  else classes.push('aRSA');
  const isChaCha = name.includes('CHACHA20');
  const bits = name.includes('AES128') ? 128 : 256;
  if (isChaCha) classes.push('CHACHA20');
  else classes.push('AES', `AES${bits}`, 'FIPS');
  const isAead = isChaCha || name.includes('-GCM-');
  if (name.includes('-GCM-')) classes.push('AESGCM');
  if (!isAead) classes.push('CBC', name.endsWith('-SHA256') ? 'SHA256' : 'SHA');
  if (name.endsWith('-SHA')) classes.push('SHA1', isEcdhe ? 'TLSv1' : 'SSLv3', ...(isEcdhe ? ['TLSv1.0'] : []));
  else classes.push('TLSv1.2');
  return { name, classes: new Set(classes), bits };
}

/** What `DEFAULT` at the start of a list stands for. */
const DEFAULT_RULES = 'ALL:!COMPLEMENTOFDEFAULT:!eNULL';
/** Security levels that ask for no more than the library does by itself. */
const HIGHEST_LEVEL = 1;

/**
 * Reads a list in the language of `openssl ciphers`: names and classes with `:` between, `A+B` for what is in both, `!`
 * takes out for good, `-` for now, `+` moves to the end, `@STRENGTH` sorts.
 *
 * @returns names in order of preference, never none
 * @throws CipherListError
 */
export function selectCiphers(list: string): string[] {
  const known = new Set(CIPHERS.flatMap(({ classes }) => [...classes]));
  let active: Cipher[] = [];
  const banned = new Set<Cipher>();
  for (const rule of list.replace(/^DEFAULT(?=[:, ;]|@|$)/, DEFAULT_RULES).split(/[:, ;]+|(?=@)/)) {
    if (rule === '') continue;
    if (rule.startsWith('@')) {
      active = applyCommand(rule, active);
      continue;
    }
    const operator = /^[!+-]/.exec(rule)?.[0] ?? '';
    const classes = rule.slice(operator.length).split('+');
    if (classes.some((one) => /^SUITEB/.test(one))) {
      throw new CipherListError(`'${rule}' is not available: name the ciphers instead`);
    }
    // Like OpenSSL: what is not known is no cipher.
    if (!classes.every((one) => known.has(one))) continue;
    const matches = CIPHERS.filter((cipher) => classes.every((one) => cipher.classes.has(one)));
    switch (operator) {
      case '!':
        for (const one of matches) banned.add(one);
        active = active.filter((one) => !matches.includes(one));
        break;
      case '-':
        active = active.filter((one) => !matches.includes(one));
        break;
      case '+':
        active = [...active.filter((one) => !matches.includes(one)), ...active.filter((one) => matches.includes(one))];
        break;
      default:
        active.push(...matches.filter((one) => !banned.has(one) && !active.includes(one)));
    }
  }
  if (active.length === 0) {
    const names = CIPHERS.map(({ name }) => name).join(':');
    throw new CipherListError(`none of these ciphers is available; there are ${names}`);
  }
  return active.map(({ name }) => name);
}

function applyCommand(rule: string, active: readonly Cipher[]): Cipher[] {
  if (rule === '@STRENGTH') return [...active].sort((one, other) => other.bits - one.bits);
  const level = /^@SECLEVEL=(\d)$/.exec(rule)?.[1];
  if (level === undefined) throw new CipherListError(`'${rule}' is not known`);
  if (Number(level) > HIGHEST_LEVEL) {
    throw new CipherListError(`'${rule}' is not available: leave it out, and name the ciphers that are strong enough`);
  }
  return [...active];
}

/**
 * Whether a cipher of TLS 1.2 goes with a key of the server.
 *
 * @param keyType as node:crypto has it
 */
export function isCipherForKey(name: string, keyType: string): boolean {
  return name.startsWith('ECDHE-ECDSA-') === (keyType !== 'rsa');
}

/** TLS 1.3 ciphers of the library, and those that only OpenSSL has. */
const TLS13_CIPHERS: readonly string[] = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
];
const OTHER_TLS13_CIPHERS: readonly string[] = ['TLS_AES_128_CCM_SHA256', 'TLS_AES_128_CCM_8_SHA256'];

/**
 * Reads `ciphers_tls1.3`.
 *
 * @returns the ciphers that a client may use; null: all that the library has
 * @throws CipherListError for a name that does not exist, or where nothing is left
 */
export function selectTls13Ciphers(list: string): ReadonlySet<string> | null {
  const names = list.split(':').map((name) => name.trim());
  for (const name of names) {
    if (TLS13_CIPHERS.includes(name) || OTHER_TLS13_CIPHERS.includes(name)) continue;
    throw new CipherListError(`'${name}' is no cipher of TLS 1.3; there are ${TLS13_CIPHERS.join(':')}`);
  }
  const chosen = new Set(names.filter((name) => TLS13_CIPHERS.includes(name)));
  if (chosen.size === 0) {
    throw new CipherListError(`none of these ciphers is available; there are ${TLS13_CIPHERS.join(':')}`);
  }
  return chosen.size === TLS13_CIPHERS.length ? null : chosen;
}
