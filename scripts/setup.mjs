// Makes a fresh clone ready to run: the packages of package-lock.json, and a Bun of exactly the pinned version. Plain
// Node.js without dependencies, since it runs before anything is installed. Run as a program, it prints the path of the
// Bun to use on stdout; all it says goes to stderr, so that `martlet sub` stays clean on stdout.
//
// Done once, set-up leaves a stamp in node_modules/.martlet: a copy of the package-lock.json it was made from, and the
// path of the verified Bun. bin/martlet reads the same two files without starting Node.js.

import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitForChild } from './relay.mjs';

const oldestNode = 20;
const lockWaitMs = 250;
/** A set-up takes seconds. A lock this old was left by a crash whose process id somebody else has now. */
const lockStaleMs = 15 * 60_000;

export const projectRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** Set-up cannot go on. The message is for the person at the keyboard; no stack trace is wanted. */
export class SetUpError extends Error {
  /** `status` is the exit status to leave with. */
  constructor(message, status = 1) {
    super(message);
    this.status = status;
  }
}

/**
 * Returns the absolute path of a Bun that reported the pinned version. Installs packages only when those present are not
 * those of package-lock.json. `dev` asks for the development packages too, which `npm ci --omit=dev` leaves out.
 */
export async function setUp({ root = projectRoot, dev = false, say = sayOnStderr } = {}) {
  if (Number.parseInt(process.versions.node, 10) < oldestNode) {
    throw new SetUpError(`Node.js ${oldestNode} or newer is needed; this is ${process.versions.node}`);
  }
  const stamped = readStamp(root);
  if (stamped !== null && (!dev || hasPackages(root, { dev }))) return stamped;
  if (!hasPackages(root, { dev })) await installOnce(root, { dev, say });
  const bun = resolveBun(root);
  writeStamp(root, bun);
  return bun;
}

function sayOnStderr(text) {
  process.stderr.write(text);
}

function readStamp(root) {
  const stamp = stampFolder(root);
  try {
    if (!readFileSync(join(stamp, 'package-lock.json')).equals(readFileSync(join(root, 'package-lock.json'))))
      return null;
    const bun = join(root, readFileSync(join(stamp, 'bun'), 'utf8').trim());
    return statSync(bun).isFile() ? bun : null;
  } catch {
    return null; // no stamp, or one that no longer holds: both mean "look properly"
  }
}

function writeStamp(root, bun) {
  const stamp = stampFolder(root);
  try {
    mkdirSync(stamp, { recursive: true });
    writeFileSync(join(stamp, 'bun'), `${relative(root, bun).split(sep).join('/')}\n`);
    writeFileSync(join(stamp, 'package-lock.json'), readFileSync(join(root, 'package-lock.json')));
  } catch {
    // A read-only installation works without a stamp; it verifies Bun at each start.
  }
}

function stampFolder(root) {
  return join(root, 'node_modules', '.martlet');
}

/**
 * Whether node_modules holds every package of package-lock.json in its version. npm's own record of what it installed is
 * compared, so packages that `npm ci` put there by hand or in a container image count. Optional packages (Bun for other
 * platforms) may lack; so may development packages unless asked for.
 */
export function hasPackages(root, { dev = false } = {}) {
  let wanted;
  let present;
  try {
    wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    present = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = present[path];
    if (found === undefined) {
      if (entry.optional || ((entry.dev || entry.devOptional) && !dev)) continue;
      return false;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) return false;
    if (!existsSync(join(root, path, 'package.json'))) return false;
  }
  return true;
}

/** One set-up at a time per folder: `npm ci` empties node_modules, which must not happen under another one's feet. */
async function installOnce(root, { dev, say }) {
  const lock = join(root, '.setup-lock');
  await takeLock(lock, say);
  try {
    if (!hasPackages(root, { dev })) await install(root, { dev, say });
  } finally {
    rmSync(lock, { force: true });
  }
}

async function takeLock(lock, say) {
  for (let told = false; ;) {
    try {
      writeFileSync(lock, `${process.pid}\n`, { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw new SetUpError(`cannot write in ${dirname(lock)} (${error.code})`);
    }
    const holder = lockHolder(lock);
    if (holder === null) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!told) say(`martlet: another set-up (process ${holder}) is at work in this folder, waiting for it\n`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, lockWaitMs));
  }
}

/** The process id in the lock, or null when that process is gone. */
function lockHolder(lock) {
  try {
    const pid = Number.parseInt(readFileSync(lock, 'utf8'), 10);
    if (Date.now() - statSync(lock).mtimeMs > lockStaleMs) return null;
    if (Number.isNaN(pid)) return 'unknown'; // created, not yet written
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return error.code === 'EPERM' ? 'of another user' : null;
  }
}

async function install(root, { dev, say }) {
  const [command, ...before] = npmCommand();
  const args = [...before, 'ci', '--no-audit', '--no-fund', '--loglevel=error', '--progress=false'];
  if (dev) args.push('--include=dev');
  const startedAt = performance.now();
  say('martlet: installing packages (first start, or package-lock.json changed) ... ');
  const output = [];
  let status;
  let interruption = null;
  try {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32' && before.length === 0,
    });
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    status = await waitForChild(child, (signal) => (interruption ??= signal));
  } catch (error) {
    say('failed\n');
    if (error.code === 'ENOENT') throw new SetUpError('npm is not in PATH; it comes with Node.js');
    throw new SetUpError(`npm could not be started (${error.code ?? error.message})`);
  }
  if (interruption !== null) {
    say('interrupted\n');
    throw new SetUpError('the next start begins the set-up again', 128 + constants.signals[interruption]);
  }
  if (status !== 0) {
    const text = Buffer.concat(output).toString('utf8');
    say(`failed\n${text.trimEnd()}\n`);
    throw new SetUpError(`npm ci failed with status ${status}: ${causeOf(text)}`);
  }
  if (!hasPackages(root, { dev })) {
    say('failed\n');
    throw new SetUpError('npm ci succeeded, yet node_modules does not hold what package-lock.json lists');
  }
  say(`${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
}

/** The npm that runs us, so that its settings and version hold; else the one in PATH. Other package managers are not npm. */
function npmCommand() {
  const running = process.env['npm_execpath'];
  if (running !== undefined && basename(running) === 'npm-cli.js' && existsSync(running))
    return [process.execPath, running];
  return ['npm'];
}

const npmCauses = [
  [
    /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b/,
    'the npm registry cannot be reached',
  ],
  [/\b(E40[13]|ENEEDAUTH)\b/, 'the npm registry refused us; see its credentials in .npmrc'],
  [/\b(ETARGET|E404)\b/, 'the npm registry does not have a package that package-lock.json names'],
  [
    /\b(CERT_\w+|SELF_SIGNED_CERT\w*|UNABLE_TO_\w+)\b/,
    "the npm registry's certificate is not trusted; see npm's cafile setting",
  ],
  [/\bEINTEGRITY\b/, 'a downloaded package is not the one that package-lock.json was made with'],
  [/\b(ENOSPC|EDQUOT)\b/, 'the disk is full'],
  [/\b(EACCES|EPERM|EROFS)\b/, 'no permission to write in this folder or in the npm cache'],
  [
    /package\.json and package-lock\.json .* are in sync/,
    'package-lock.json does not match package.json; run npm install',
  ],
];

function causeOf(npmOutput) {
  return npmCauses.find(([pattern]) => pattern.test(npmOutput))?.[1] ?? 'its output is above';
}

/**
 * The `bun` package ships a placeholder, which its install script replaces by the binary that npm unpacked beside it as
 * `@oven/bun-PLATFORM`. Where scripts are skipped the binary is still there, and running it directly needs no script.
 * The install script itself is the last resort, for trees without optional packages: it fetches what is missing.
 */
export function resolveBun(root) {
  const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).dependencies.bun;
  const refusals = [];
  const tryAll = () => {
    refusals.length = 0;
    for (const candidate of bunCandidates(root)) {
      const refusal = whyNotBun(candidate, version);
      if (refusal === null) return candidate;
      refusals.push(`${relative(root, candidate)}: ${refusal}`);
    }
    return null;
  };
  const found = tryAll();
  if (found !== null) return found;
  const bunPackage = join(root, 'node_modules', 'bun');
  if (existsSync(join(bunPackage, 'install.js'))) {
    const run = spawnSync(process.execPath, ['install.js'], { cwd: bunPackage, encoding: 'utf8' });
    const afterScript = tryAll();
    if (afterScript !== null) return afterScript;
    if (run.status !== 0)
      refusals.push(`node_modules/bun/install.js: ${lastLine(run.stderr) || `status ${run.status}`}`);
  }
  const tried = refusals.length === 0 ? '' : `\n  ${refusals.join('\n  ')}`;
  throw new SetUpError(
    `no Bun ${version} that runs on ${process.platform} ${process.arch}${tried}\n` +
      'Remove node_modules and start again; if that does not help, this platform has no build of Bun.',
  );
}

function bunCandidates(root) {
  const modules = join(root, 'node_modules');
  const candidates = [join(modules, 'bun', 'bin', 'bun.exe')];
  for (const scope of [join(modules, '@oven'), join(modules, 'bun', 'node_modules', '@oven')]) {
    if (!existsSync(scope)) continue;
    for (const name of readdirSync(scope).sort()) {
      if (!name.startsWith('bun-')) continue;
      candidates.push(join(scope, name, 'bin', process.platform === 'win32' ? 'bun.exe' : 'bun'));
    }
  }
  return candidates.filter((path) => existsSync(path));
}

function whyNotBun(path, version) {
  const run = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 60_000 });
  if (run.error) return `cannot be run (${run.error.code ?? run.error.message})`;
  if (run.signal === 'SIGILL') return 'this processor lacks instructions that this build of Bun needs';
  if (run.signal) return `was ended by ${run.signal}`;
  if (run.status !== 0) return lastLine(run.stderr) || `left with status ${run.status}`;
  const reported = run.stdout.trim();
  return reported === version ? null : `is version ${reported}`;
}

function lastLine(text) {
  return (text ?? '').trim().split('\n').at(-1) ?? '';
}

/** Ends the process the way a person wants to see it: one clear line and a status. A defect keeps its stack trace. */
export function leaveWith(error) {
  if (!(error instanceof SetUpError)) throw error;
  process.stderr.write(`martlet: ${error.message}\n`);
  process.exitCode = error.status;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${await setUp({ dev: process.argv.includes('--dev') })}\n`);
  } catch (error) {
    leaveWith(error);
  }
}
