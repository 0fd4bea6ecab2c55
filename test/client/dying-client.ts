// Connects with a will, says so on standard output, and waits to be killed. Arguments: port, will topic.
import { connectClient } from '../../src/client/promise-client.ts';
import { ClientSockets } from '../../src/transport/client-socket.ts';

const [port, topicName] = process.argv.slice(2);
const connector = new ClientSockets({ tls: null, noDelay: true }).connector({
  hostname: '127.0.0.1',
  port: Number(port),
});
const will = {
  topicName: topicName ?? '',
  payload: new Uint8Array(0),
  qos: 1 as const,
  retain: false,
  properties: null,
};
await connectClient({ connector, settings: { will } });
console.log('connected');
