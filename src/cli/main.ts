// The command line: finds the command and loads what it needs, and no more, since each command is started often.

import { nearestName } from '../config/nearest-name.ts';
import { ExitStatus } from './exit-status.ts';
import { formatCommands } from './usage.ts';
import { VERSION } from './version.ts';

interface Command {
  readonly summary: string;
  run(args: string[]): Promise<number>;
  /** Ends the process as soon as the command has returned, whatever is still open: a server has seen to its end itself. */
  readonly endsAtOnce: boolean;
}

const commands: Readonly<Record<string, Command>> = {
  start: {
    summary: 'Run the broker with MQTT over WebSocket and HTTP around it, on this machine.',
    run: async (args) => (await import('./start.ts')).runStart(args),
    endsAtOnce: true,
  },
  broker: {
    summary: "Run the broker in place of mosquitto, with mosquitto's options and configuration.",
    run: async (args) => (await import('./broker.ts')).runBroker(args),
    endsAtOnce: true,
  },
  pub: {
    summary: 'Publish a message, as mosquitto_pub does.',
    run: async (args) => (await import('./pub.ts')).runPub(args),
    endsAtOnce: false,
  },
  sub: {
    summary: 'Subscribe to topics and print what arrives, as mosquitto_sub does.',
    run: async (args) => (await import('./sub.ts')).runSub(args),
    endsAtOnce: false,
  },
  rr: {
    summary: 'Send a request and wait for the response, as mosquitto_rr does.',
    run: async (args) => (await import('./rr.ts')).runRr(args),
    endsAtOnce: false,
  },
  ctrl: {
    summary: 'Ask a broker that runs about itself, as mosquitto_ctrl does.',
    run: async (args) => (await import('./ctrl.ts')).runCtrl(args),
    endsAtOnce: false,
  },
  passwd: {
    summary: 'Manage a file of users and passwords, as mosquitto_passwd does.',
    run: async (args) => (await import('./passwd.ts')).runPasswd(args),
    endsAtOnce: false,
  },
  db: {
    summary: 'Look into, check and copy the file of sessions and messages, or take over one of Mosquitto.',
    run: async (args) => (await import('./db.ts')).runDb(args),
    endsAtOnce: false,
  },
  help: {
    summary: "Explain a command; 'help config' lists the options of the configuration file.",
    run: help,
    endsAtOnce: false,
  },
};

function commandOf(name: string): Command | null {
  return Object.hasOwn(commands, name) ? commands[name]! : null;
}

function overview(): string {
  return formatCommands(Object.entries(commands).map(([name, { summary }]) => [name, summary]));
}

async function help(args: string[]): Promise<number> {
  const [topic = null, ...rest] = args;
  if (topic === null || topic === 'help') process.stdout.write(`${overview()}\n`);
  else if (rest.length > 0) return refuse('help explains one thing at a time.');
  else if (topic === 'config') process.stdout.write(`${(await import('./help.ts')).configHelp()}\n`);
  else {
    const command = commandOf(topic);
    if (command === null) return refuse(describeUnknown(topic, [...Object.keys(commands), 'config']));
    // As with Mosquitto, a command itself may count its help for a failure.
    await command.run(['--help']);
  }
  return ExitStatus.success;
}

function describeUnknown(name: string, names: readonly string[]): string {
  const nearest = nearestName(name, names);
  return `unknown command '${name}'${nearest === null ? '' : `; did you mean '${nearest}'?`}`;
}

function refuse(text: string): number {
  process.stderr.write(`martlet: ${text}\n`);
  return ExitStatus.failure;
}

async function run(args: string[]): Promise<number> {
  const [name = null, ...rest] = args;
  switch (name) {
    case null:
      process.stderr.write(`${overview()}\n`);
      return ExitStatus.failure;
    case '-h':
    case '--help':
      return help(rest);
    case '--version':
    case '-V':
      process.stdout.write(`martlet ${VERSION}\n`);
      return ExitStatus.success;
  }
  const command = commandOf(name);
  if (command === null) {
    return refuse(`${describeUnknown(name, Object.keys(commands))}\nmartlet: 'martlet help' lists the commands.`);
  }
  const status = await command.run(rest);
  if (command.endsAtOnce) process.exit(status);
  return status;
}

process.exitCode = await run(process.argv.slice(2));
