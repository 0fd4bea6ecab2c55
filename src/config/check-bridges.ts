import type { BridgeConfig } from './bridge-config.ts';
import type { ConfigDraft } from './config-draft.ts';
import type { ConfigProblem } from './config-error.ts';

const LATER = 'bridges come in a later version of Martlet; take this connection and the options of it out for now';

/** Options of bridges that need each other, or exclude each other; and that there are no bridges yet. */
export function checkBridges(draft: ConfigDraft): ConfigProblem[] {
  const problems = draft.bridges.flatMap((bridge) => checkBridge(draft, bridge));
  const localIds = new Map<string, BridgeConfig>();
  for (const bridge of draft.bridges) {
    // What a bridge has without the option is made of its name, which is its own, or of this.
    const { localClientid, remoteClientid } = bridge;
    const id = localClientid ?? (remoteClientid === null ? null : `local.${remoteClientid}`);
    if (id === null) continue;
    const option = localClientid === null ? 'remote_clientid' : 'local_clientid';
    const place = draft.placeOf(bridge, option);
    const other = localIds.get(id);
    if (other !== undefined && place !== null) {
      problems.push({ ...place, text: `${option}: the connection '${other.name}' has the same identifier here` });
    }
    localIds.set(id, bridge);
  }
  return problems;
}

function checkBridge(draft: ConfigDraft, bridge: BridgeConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const complain = (option: string, text: string) => {
    const place = draft.placeOf(bridge, option);
    if (place !== null) problems.push({ ...place, text: `${option}: ${text}` });
  };
  complain('connection', LATER);
  if (draft.placeOf(bridge, 'address') === null) complain('connection', 'needs an address, of the other broker');
  if (draft.placeOf(bridge, 'topic') === null) complain('connection', 'needs a topic, which goes over the bridge');
  const { psk, pskIdentity, certfile, keyfile, cafile, capath } = bridge;
  if (psk !== null && pskIdentity === null) complain('bridge_psk', 'needs a bridge_identity beside it');
  if (psk === null && pskIdentity !== null) complain('bridge_identity', 'needs a bridge_psk beside it');
  if (certfile !== null && keyfile === null) complain('bridge_certfile', 'needs a bridge_keyfile beside it');
  if (keyfile !== null && certfile === null) complain('bridge_keyfile', 'needs a bridge_certfile beside it');
  if (pskIdentity !== null && [cafile, capath, certfile, keyfile].some((one) => one !== null)) {
    complain('bridge_identity', 'a bridge has certificates or a pre-shared key, not both');
  }
  return problems;
}
