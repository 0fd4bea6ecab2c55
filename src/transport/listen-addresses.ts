import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import type { ListenerConfig } from '../config/config.ts';
import { ListenError } from './listener.ts';

/** An address of the machine, as `networkInterfaces` lists it. */
interface InterfaceAddress {
  readonly address: string;
  readonly family: string;
  readonly scopeid?: number;
}

type Interfaces = Readonly<Record<string, readonly InterfaceAddress[] | undefined>>;

/**
 * The addresses that a listener is opened on: each of those that its host name stands for or its network interface has,
 * as far as `socket_domain` wants them. Null stands for every address of the machine.
 *
 * @throws ListenError where there are none
 */
export async function listenAddresses(
  config: ListenerConfig,
  interfaces: Interfaces = networkInterfaces(),
): Promise<(string | null)[]> {
  const { host, unixPath, bindInterface, socketDomain } = config;
  if (unixPath !== null) return [null];
  if (bindInterface !== null) return interfaceAddresses(bindInterface, socketDomain, interfaces);
  if (host === null) return [socketDomain === null ? null : { ipv4: '0.0.0.0', ipv6: '::' }[socketDomain]];
  const found = await lookup(host, { all: true, verbatim: true }).catch((error: NodeJS.ErrnoException) => {
    throw new ListenError(`Cannot listen on ${host}: the name cannot be resolved (${error.code ?? error.message}).`, {
      cause: error,
    });
  });
  const wanted = found.filter(({ family }) => socketDomain === null || socketDomain === `ipv${family}`);
  if (wanted.length === 0) throw new ListenError(`Cannot listen on ${host}: it has no ${socketDomain} address.`);
  return [...new Set(wanted.map(({ address }) => address))];
}

function interfaceAddresses(name: string, domain: 'ipv4' | 'ipv6' | null, interfaces: Interfaces): string[] {
  const all = interfaces[name];
  if (all === undefined) {
    const names = Object.keys(interfaces).join(', ');
    throw new ListenError(`Cannot listen on network interface ${name}: there is none of that name, but ${names}.`);
  }
  const wanted = all.filter(({ family }) => domain === null || domain === family.toLowerCase());
  if (wanted.length === 0) {
    throw new ListenError(`Cannot listen on network interface ${name}: it has no ${domain ?? 'IP'} address.`);
  }
  // A link-local address is one of many of that name: the interface belongs to it.
  return wanted.map(({ address, scopeid = 0 }) => (scopeid > 0 ? `${address}%${name}` : address));
}
