#!/usr/bin/env node
// Plain JavaScript that an old Node parses too: says what is needed where the running Node is too old, otherwise
// starts the compiled program; in a checkout whose sources are newer than that, the TypeScript sources.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `ftrace-exporter needs Node.js 22.18 or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      'In a checkout, `npm start` and `npm run cli -- COMMAND` bring the right one along.\n',
  );
  process.exit(1);
}

// The young generation grows to 16 MiB a thread while modules load, and is never given back. Kept at its first size
// it saves a tenth of the agent's memory, and costs nothing where no event allocates.
setFlagsFromString('--semi-space-growth-factor=1');

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
import(main.href).then((cli) => cli.main(process.argv.slice(2)));
