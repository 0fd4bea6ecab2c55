/** Mosquitto and Martlet with the same configuration. */
import { BrokerServer } from '../../src/broker/broker-server.ts';
import { silentLogger } from '../../src/broker/log.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import type { BrokerKind } from './sequence.ts';

interface Configuration {
  readonly global?: readonly string[];
  readonly listener?: readonly string[];
}

/** Lines that both brokers read. */
const configurations: Readonly<Record<BrokerKind, Configuration>> = {
  default: {},
  alone: {},
  'inflight-1': { global: ['max_inflight_messages 1'] },
  'packet-40': { global: ['max_packet_size 40'] },
  'payload-1': { global: ['message_size_limit 1'] },
  'qos-1-no-retain': { global: ['retain_available false'], listener: ['max_qos 1'] },
  'keepalive-60': { global: ['max_keepalive 60'] },
  'no-empty-id': { global: ['allow_zero_length_clientid false'] },
  'no-alias': { listener: ['max_topic_alias 0'] },
  'queue-3': { global: ['max_inflight_messages 2', 'max_queued_messages 3'] },
  'queue-qos0': { global: ['queue_qos0_messages true'] },
  'queue-100-bytes': { global: ['max_queued_bytes 100'] },
  'upgrade-qos': { global: ['upgrade_outgoing_qos true'] },
  duplicates: { global: ['allow_duplicate_messages true'] },
};

/** The default of Mosquitto 2.1, which earlier versions do not have. */
const PACKET_SIZE = 'max_packet_size 2000000';

export interface BrokerPair {
  readonly mosquittoPort: number;
  readonly martletPort: number;
  stop(): Promise<void>;
}

export async function startPair(kind: BrokerKind): Promise<BrokerPair> {
  const { global = [], listener = [] } = configurations[kind];
  const lines = ['allow_anonymous true', ...global];
  if (!global.some((line) => line.startsWith('max_packet_size'))) lines.push(PACKET_SIZE);
  const text = [...lines, 'listener 0 127.0.0.1', ...listener].join('\n');
  const martlet = new BrokerServer(parseConfig(text, kind).config, silentLogger);
  const mosquitto = await startMosquitto({ mqtt: listener }, lines);
  const [bound] = await martlet.start();
  return {
    mosquittoPort: mosquitto.ports['mqtt']!,
    martletPort: bound!.port,
    stop: async () => {
      await Promise.all([martlet.stop(), mosquitto.stop()]);
    },
  };
}
