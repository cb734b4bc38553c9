/** `npm run bench` runs all benchmarks one after the other; `npm run bench -- pipeline` runs one. */
import { setFlagsFromString } from 'node:v8';
import { V8_FLAGS } from '../bin/v8-flags.js';
import { benchContainers } from './containers.ts';
import { benchCpus } from './cpus.ts';
import { benchLab } from './lab.ts';
import { benchLive } from './live.ts';
import { benchPeers } from './peers.ts';
import { benchPipeline } from './pipeline.ts';
import { printRender } from './render.ts';
import { benchSpans } from './spans.ts';
import { machineLine } from './support.ts';
import { benchText } from './text.ts';
import { benchTracedCost } from './traced-cost.ts';

const parts: Record<string, () => unknown> = {
  pipeline: benchPipeline,
  live: benchLive,
  containers: benchContainers,
  cpus: benchCpus,
  spans: benchSpans,
  text: benchText,
  cost: benchTracedCost,
  peers: benchPeers,
  render: printRender,
  lab: benchLab,
};

for (const flag of V8_FLAGS) setFlagsFromString(flag);
const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are: ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
console.log(`${machineLine()}, ${new Date().toISOString().slice(0, 10)}`);
for (const [name, run] of Object.entries(parts)) {
  if (chosen.length === 0 || chosen.includes(name)) await run();
}
