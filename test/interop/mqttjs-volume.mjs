// node mqttjs-volume.mjs URL LEVEL COUNTS CAFILE: publishes numbered messages with one client, as many at QoS 0, 1 and 2
// as COUNTS says (such as 100,50,50), and receives them with another. Prints how many came at each QoS, and the first
// that was not the one expected (-1: none).
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

const [url, level, countsText, cafile] = process.argv.slice(2);
const counts = countsText.split(',').map(Number);
const options = {
  protocolVersion: Number(level),
  ...(level === '3' ? { protocolId: 'MQIsdp' } : {}),
  ca: readFileSync(cafile),
  reconnectPeriod: 0,
};
/** Unacknowledged messages at a time, below the broker's Receive Maximum. */
const WINDOW = 15;

const subscriber = await mqtt.connectAsync(url, { ...options, clientId: `volume-sub-${process.pid}` });
const publisher = await mqtt.connectAsync(url, { ...options, clientId: `volume-pub-${process.pid}` });
const received = [0, 0, 0];
const firstWrong = [-1, -1, -1];
let finish = () => {};
const finished = new Promise((resolve) => (finish = resolve));
subscriber.on('message', (topic, payload, packet) => {
  const qos = Number(topic.slice(-1));
  const isRight = Number(payload.toString()) === received[qos] && packet.qos === qos;
  if (!isRight && firstWrong[qos] < 0) firstWrong[qos] = received[qos];
  received[qos]++;
  if (received.every((one, i) => one >= counts[i])) finish();
});
const topic = (qos) => `volume/${process.pid}/${qos}`;
for (const qos of [0, 1, 2]) await subscriber.subscribeAsync(topic(qos), { qos });

/** Publishes all messages of one QoS, a window at a time, in order. */
async function publishAll(qos) {
  const pending = [];
  for (let i = 0; i < counts[qos]; i++) {
    if (pending.length >= (qos === 0 ? 1_000 : WINDOW)) await pending.shift();
    pending.push(publisher.publishAsync(topic(qos), String(i), { qos }));
  }
  await Promise.all(pending);
}
for (const qos of [0, 1, 2]) await publishAll(qos);
const timer = setTimeout(finish, 20_000);
await finished;
clearTimeout(timer);
await Promise.all([subscriber.endAsync(), publisher.endAsync()]);
process.stdout.write(JSON.stringify({ received, firstWrong }));
process.exit(0);
