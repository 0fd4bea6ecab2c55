import { formatBytes, formatCount, formatDuration } from '../http/format.ts';
import { storeError } from '../storage/sqlite-faults.ts';
import type { Flag } from './arguments.ts';
import {
  configFlag,
  countOf,
  type DbCommandLine,
  dbUsage,
  helpFlag,
  parseDbArguments,
  storePathOf,
} from './db-arguments.ts';
import { type ClientInspection, inspectClient, type InspectedMessage } from './db-client-inspection.ts';
import { DbFailure } from './db-failure.ts';
import { inspectStore, type StoreInspection } from './db-inspection.ts';
import { openToRead } from './db-open.ts';
import { Progress } from './db-progress.ts';
import { formatExpiry, formatFacts, formatTable, formatTime, printable } from './db-text.ts';
import type { DbIo } from './db.ts';
import { ExitStatus } from './exit-status.ts';

const LARGEST = 10;
const LISTED = 50;

const flags: readonly Flag[] = [
  configFlag,
  { names: ['--client'], takes: 'ID', help: 'Show the session of one client: subscriptions, queue, will.' },
  {
    names: ['--limit'],
    takes: 'N',
    help: `Most sessions in the list of the largest (default ${LARGEST}), or with --client most messages (default ${LISTED}).`,
  },
  { names: ['--json'], takes: null, help: 'Print one JSON object, with numbers as they are.' },
  helpFlag,
];

const commandLine: DbCommandLine = {
  line: 'inspect [OPTION ...] [FILE]',
  about:
    'Shows what the file holds, as it is at one moment. It is only read, and a broker may go on using it; payloads are\n' +
    'not shown. Messages are in flight when they were sent on an earlier connection and not acknowledged to the end.',
  flags,
  examples: [
    'martlet db inspect data/martlet.db',
    'martlet db inspect -c martlet.conf --client sensor-17',
    "martlet db inspect --json data/martlet.db | jq '.deliveries.queued'",
  ],
};

export async function runInspect(args: readonly string[], io: DbIo): Promise<number> {
  const { given, words } = parseDbArguments(args, flags);
  if (given.has('--help')) {
    io.stdout.write(`${dbUsage(commandLine)}\n`);
    return ExitStatus.success;
  }
  const path = storePathOf(given, words);
  const clientId = given.one('--client');
  const limit = countOf(given, '--limit', clientId === null ? LARGEST : LISTED);
  const isJson = given.has('--json');
  const db = openToRead(path);
  const progress = new Progress(io.stderr);
  try {
    if (clientId !== null) {
      const client = inspectClient(db, clientId, limit);
      if (client === null) throw new DbFailure(`${path} has no session of client '${printable(clientId)}'`);
      io.stdout.write(isJson ? `${JSON.stringify(client)}\n` : describeClient(client, Date.now()));
      return ExitStatus.success;
    }
    const store = await inspectStore(db, path, Date.now(), limit, async (name, number, of) => {
      progress.step(`Reading ${name}`, number, of);
      await io.stderr.flush();
    });
    progress.end();
    io.stdout.write(isJson ? `${JSON.stringify(store)}\n` : describeStore(store, Date.now()));
    return ExitStatus.success;
  } catch (error) {
    progress.end();
    throw error instanceof DbFailure ? error : storeError(`cannot read ${path}`, error);
  } finally {
    db.close(true);
  }
}

function ago(wallMs: number, nowMs: number): string {
  return `${formatTime(wallMs)} (${formatDuration((nowMs - wallMs) / 1000)} ago)`;
}

/** `12 (3 shared)`: what is 0 is not told. */
function withParts(total: number, parts: readonly (readonly [count: number, what: string])[]): string {
  const told = parts.filter(([count]) => count > 0).map(([count, what]) => `${formatCount(count)} ${what}`);
  return told.length === 0 ? formatCount(total) : `${formatCount(total)} (${told.join(', ')})`;
}

function describeStore(store: StoreInspection, nowMs: number): string {
  const { file, sessions, subscriptions, messages, deliveries, retained, largest } = store;
  const facts = formatFacts([
    ['File', file.path],
    [
      'Size',
      `${formatBytes(file.bytes)}, ${formatBytes(file.freeBytes)} of it free, and ${formatBytes(file.logBytes)} of log`,
    ],
    ['Tables', `version ${file.tablesVersion}`],
    ['Broker', file.aliveAtMs === 0 ? 'never used it' : `last alive ${ago(file.aliveAtMs, nowMs)}`],
    [
      'Sessions',
      withParts(sessions.total, [
        [sessions.connected, 'connected'],
        [sessions.withoutExpiry, 'without end'],
        [sessions.expired, 'expired'],
        [sessions.withWill, 'with a will'],
      ]),
    ],
    ['Subscriptions', withParts(subscriptions.total, [[subscriptions.shared, 'shared']])],
    [
      'To clients',
      withParts(deliveries.total, [
        [deliveries.inFlight, 'in flight'],
        [deliveries.queued, 'queued'],
        [deliveries.expired, 'expired'],
      ]) + (deliveries.total === 0 ? '' : `, ${formatBytes(deliveries.bytes)}`),
    ],
    ['From clients', `${formatCount(store.incoming)}${store.incoming === 0 ? '' : ', QoS 2, not released yet'}`],
    ['Messages', `${formatCount(messages.total)} stored, ${formatBytes(messages.payloadBytes)} of payload`],
    [
      'Retained',
      `${withParts(retained.total, [[retained.expired, 'expired']])}, ${formatBytes(retained.payloadBytes)} of payload`,
    ],
  ]);
  if (largest.length === 0) return `${facts}\n`;
  const table = formatTable(
    [
      { title: 'LARGEST QUEUES' },
      { title: 'MESSAGES', isNumber: true },
      { title: 'SIZE', isNumber: true },
      { title: 'SUBSCRIPTIONS', isNumber: true },
      { title: 'AWAY FOR', isNumber: true },
    ],
    largest.map((one) => [
      printable(one.clientId),
      formatCount(one.messages),
      formatBytes(one.bytes),
      formatCount(one.subscriptions),
      one.awaySinceMs === 0 ? 'connected' : formatDuration((nowMs - one.awaySinceMs) / 1000),
    ]),
  );
  return `${facts}\n\n${table}\n`;
}

const protocolNames: Readonly<Record<number, string>> = { 3: 'MQTT 3.1', 4: 'MQTT 3.1.1', 5: 'MQTT 5' };

function describeClient(client: ClientInspection, nowMs: number): string {
  const { will, subscriptions, deliveries, incoming } = client;
  const sections = [
    formatFacts([
      ['Client', printable(client.clientId)],
      ['Protocol', protocolNames[client.protocolVersion] ?? String(client.protocolVersion)],
      ['User name', client.username === null ? 'none' : printable(client.username)],
      [
        'Connection',
        client.awaySinceMs === 0 ? 'open, when this was written' : `ended ${ago(client.awaySinceMs, nowMs)}`,
      ],
      ['Expires', formatExpiry(client.expiryInterval)],
      ['Will', will === null ? 'none' : describeWill(will)],
      ['Subscriptions', formatCount(subscriptions.length)],
      [
        'To the client',
        withParts(deliveries.total, [
          [deliveries.inFlight, 'in flight'],
          [deliveries.total - deliveries.inFlight, 'queued'],
        ]) + (deliveries.total === 0 ? '' : `, ${formatBytes(deliveries.bytes)}`),
      ],
      ['From the client', formatCount(incoming.length)],
    ]),
  ];
  if (subscriptions.length > 0) {
    sections.push(
      formatTable(
        [
          { title: 'SUBSCRIPTION' },
          { title: 'QOS', isNumber: true },
          { title: 'IDENTIFIER', isNumber: true },
          { title: 'OPTIONS' },
        ],
        subscriptions.map((one) => [
          printable(one.filter),
          String(one.qos),
          one.identifier === 0 ? '' : String(one.identifier),
          [one.noLocal ? 'no local' : '', one.retainAsPublished ? 'retain as published' : '']
            .filter((text) => text !== '')
            .join(', '),
        ]),
      ),
    );
  }
  if (deliveries.first.length > 0) {
    const rows = deliveries.first.map((one) => [
      formatCount(one.number),
      one.state,
      one.packetId === 0 ? '' : String(one.packetId),
      ...messageCells(one),
    ]);
    const headings = [
      { title: 'NUMBER', isNumber: true },
      { title: 'STATE' },
      { title: 'PACKET', isNumber: true },
      ...messageHeadings,
    ];
    const rest = deliveries.total - rows.length;
    const more = rest > 0 ? `\n${formatCount(rest)} more: --limit N lists more of them.` : '';
    sections.push(formatTable(headings, rows) + more);
  }
  if (incoming.length > 0) {
    const rows = incoming.map(({ packetId, message }) => [
      String(packetId),
      ...(message === null ? ['', '', '', '', 'refused'] : messageCells(message)),
    ]);
    sections.push(formatTable([{ title: 'INCOMING PACKET', isNumber: true }, ...messageHeadings], rows));
  }
  return `${sections.join('\n\n')}\n`;
}

const messageHeadings = [
  { title: 'QOS', isNumber: true },
  { title: 'RETAIN' },
  { title: 'SIZE', isNumber: true },
  { title: 'EXPIRES' },
  { title: 'TOPIC' },
];

function messageCells(message: InspectedMessage): string[] {
  return [
    String(message.qos),
    message.retain ? 'yes' : '',
    formatBytes(message.payloadBytes),
    message.expiresAtMs === 0 ? '' : formatTime(message.expiresAtMs),
    printable(message.topic),
  ];
}

function describeWill(will: NonNullable<ClientInspection['will']>): string {
  const delay = will.delayInterval === 0 ? '' : `, ${formatDuration(will.delayInterval)} after the connection ends`;
  const retain = will.retain ? ', retained' : '';
  return `${printable(will.topic)} at QoS ${will.qos}${retain}, ${formatBytes(will.payloadBytes)}${delay}`;
}
