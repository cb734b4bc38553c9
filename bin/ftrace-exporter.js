#!/usr/bin/env node
// The entry point. Starts the compiled program, or newer TypeScript sources of a checkout. Use no new syntax here,
// because an old Node must be able to print that it is too old.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { V8_FLAGS } from './v8-flags.js';

// On SIGUSR1, Node opens a debugger through which every local user could run code as the agent's user. A listener
// keeps the debugger closed. Before this line runs, only Node's flag `--disable-sigusr1` keeps it closed.
process.on('SIGUSR1', () => process.stderr.write('ftrace-exporter: SIGUSR1 ignored\n'));

const args = process.argv.slice(2);
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  if (args.length === 1 && args[0] === '--version') printVersion();
  if (args.some((arg) => arg === '--help' || arg === '-h')) printHelp();
  process.stderr.write(
    `ftrace-exporter needs Node.js 22.18 or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      'In a checkout, `npm start` and `npm run cli -- COMMAND` use the Node.js that npm installed with the package.\n',
  );
  process.exit(1);
}

refuseInheritedDebugger();
ignoreInheritedTrust();
// Keep the environment out of Node's diagnostic reports, because the environment can contain API keys of OTLP backends.
if (process.report) process.report.excludeEnv = true;

/** Exits if NODE_OPTIONS opens a debugger, because the user may have inherited this variable unknowingly. */
function refuseInheritedDebugger() {
  if (!/(^|\s)"?--inspect(?!-port|-publish)/.test(process.env.NODE_OPTIONS || '')) return;
  process.stderr.write(
    'ftrace-exporter: NODE_OPTIONS opens a debugger, through which other users of this machine can run code: ' +
      'unset it, or pass --inspect to node on the command line.\n',
  );
  process.exit(2);
}

/** Unsets NODE_TLS_REJECT_UNAUTHORIZED. With 0, OTLP connections would accept any certificate. */
function ignoreInheritedTrust() {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === undefined) return;
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  process.stderr.write(
    'ftrace-exporter: NODE_TLS_REJECT_UNAUTHORIZED ignored: certificates are always checked\n',
  );
}

function printVersion() {
  const file = new URL('../package.json', import.meta.url);
  process.stdout.write(`${JSON.parse(readFileSync(file, 'utf8')).version}\n`);
  process.exit(0);
}

/** Runs `--help` with the Node that npm installed, if any, and exits. Signals would not reach other commands. */
function printHelp() {
  let node;
  try {
    node = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/bin/node`);
  } catch {
    return;
  }
  const { status } = spawnSync(node, [fileURLToPath(import.meta.url), ...args], { stdio: 'inherit' });
  process.exit(status === null ? 1 : status);
}
for (const flag of V8_FLAGS) setFlagsFromString(flag);

const compiled = new URL('../dist/cli/main.js', import.meta.url);
const sources = new URL('../src/', import.meta.url);

function modified(file) {
  return statSync(file).mtimeMs;
}

function sourcesAreNewer() {
  if (!existsSync(sources)) return false;
  if (!existsSync(compiled)) return true;
  const built = modified(compiled);
  const dir = fileURLToPath(sources);
  return readdirSync(dir, { recursive: true }).some((file) => modified(`${dir}${file}`) > built);
}

const main = sourcesAreNewer() ? new URL('cli/main.ts', sources) : compiled;
import(main.href).then((cli) => cli.main(args));
