/** The load-generator process: runs what the bench asks over IPC, and ends when the bench does. */
import type { CallMessage, ChurnResult, ConnectOptions, LoadCalls, ReplyMessage, RoutesOptions } from './calls.ts';
import { ClosedLoop } from './closed-loop.ts';
import { Link, forEachConcurrently, type Faults } from './link.ts';
import { OpenLoop, latencyHistogram, millisecondsAt } from './open-loop.ts';
import { Route } from './route.ts';

/** Below the listen backlog of 100 that Mosquitto asks for: a full backlog costs a SYN retransmission of a second. */
const connectConcurrency = 64;
/** Seconds; longer than any flow holds its connections, so no PINGREQ is ever due. */
const keepAliveSeconds = 3_600;

class Load implements LoadCalls {
  private readonly fault: Faults = { unexpectedPackets: 0, lostConnections: 0 };
  private routes: Route[] = [];
  private held: Link[] = [];
  private serial = 0;

  private link(prefix: string): Link {
    return new Link(`${prefix}${String(this.serial++).padStart(7, '0')}`, keepAliveSeconds, this.fault);
  }

  async openRoutes(options: RoutesOptions): Promise<null> {
    const perRoute = options.fanOut + 1;
    const links = Array.from({ length: options.routes * perRoute }, (_, i) =>
      this.link(i % perRoute === 0 ? 'bench-pub-' : 'bench-sub-'),
    );
    await forEachConcurrently(links.length, connectConcurrency, async (i) => {
      const link = links[i];
      await link?.open(options.endpoint);
      if (i % perRoute !== 0) await link?.subscribe(topicOfRoute(Math.floor(i / perRoute)), options.qos);
    });
    for (let r = 0; r < options.routes; r++) {
      const [publisher, ...members] = links.slice(r * perRoute, (r + 1) * perRoute);
      if (publisher === undefined) continue;
      this.routes.push(
        new Route(publisher, members, topicOfRoute(r), options.payloadBytes, options.qos, options.window),
      );
    }
    return null;
  }

  pump(options: { seconds: number }): ReturnType<LoadCalls['pump']> {
    return new ClosedLoop(this.routes).run(options.seconds);
  }

  pace(options: { rate: number; seconds: number }): ReturnType<LoadCalls['pace']> {
    return new OpenLoop(this.routes).run(options.rate, options.seconds);
  }

  async hold(options: ConnectOptions): Promise<null> {
    const links = Array.from({ length: options.count }, () => this.link('bench-idle-'));
    await forEachConcurrently(links.length, options.concurrency, async (i) => links[i]?.open(options.endpoint));
    this.held.push(...links);
    return null;
  }

  async subscribeHeld(options: { concurrency: number }): Promise<null> {
    await forEachConcurrently(this.held.length, options.concurrency, async (i) =>
      this.held[i]?.subscribe(`bench/idle/${String(i).padStart(7, '0')}`, 0),
    );
    return null;
  }

  async release(options: { concurrency: number }): Promise<null> {
    await forEachConcurrently(this.held.length, options.concurrency, async (i) => this.held[i]?.leave());
    this.held = [];
    return null;
  }

  async churn(options: ConnectOptions): Promise<ChurnResult> {
    const latencies = latencyHistogram();
    const cpu = process.cpuUsage();
    const startedNs = Bun.nanoseconds();
    await forEachConcurrently(options.count, options.concurrency, async () => {
      const link = this.link('bench-churn-');
      const begunNs = Bun.nanoseconds();
      await link.open(options.endpoint);
      latencies.recordValue(Math.max(1, Math.round((Bun.nanoseconds() - begunNs) / 1000)));
      await link.leave();
    });
    const used = process.cpuUsage(cpu);
    return {
      connects: latencies.totalCount,
      seconds: (Bun.nanoseconds() - startedNs) / 1e9,
      generatorCpuSeconds: (used.user + used.system) / 1e6,
      p50: millisecondsAt(latencies, 50),
      p99: millisecondsAt(latencies, 99),
      p999: millisecondsAt(latencies, 99.9),
    };
  }

  async faults(): Promise<Faults> {
    return this.fault;
  }
}

/** The same length for every route, so that every flow's packets have one size. */
function topicOfRoute(index: number): string {
  return `bench/route/${String(index).padStart(5, '0')}`;
}

function isCallMessage(value: unknown): value is CallMessage {
  return typeof value === 'object' && value !== null && 'id' in value && 'call' in value && 'options' in value;
}

const load = new Load();

/** The bench and this file ship together: options are what calls.ts says. */
async function answer(message: CallMessage): Promise<ReplyMessage> {
  const call = load[message.call] as (options: unknown) => Promise<unknown>;
  try {
    return { id: message.id, result: await call.call(load, message.options) };
  } catch (cause) {
    return { id: message.id, error: cause instanceof Error ? cause.message : String(cause) };
  }
}

process.on('message', (message: unknown) => {
  if (!isCallMessage(message)) return;
  void answer(message).then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
