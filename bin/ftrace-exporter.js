#!/usr/bin/env node
// Plain JavaScript that an old Node parses too: says what is needed where the running Node is too old,
// otherwise starts the TypeScript sources of a checkout, or the compiled program where there are none.
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `ftrace-exporter needs Node.js 22.18 or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      'In a checkout, `npm start` and `npm run cli -- COMMAND` bring the right one along.\n',
  );
  process.exit(1);
}
const sources = new URL('../src/cli/main.ts', import.meta.url);
const main = existsSync(sources) ? sources : new URL('../dist/cli/main.js', import.meta.url);
import(main.href).then((cli) => cli.main(process.argv.slice(2)));
