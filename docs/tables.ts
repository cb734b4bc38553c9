/** The tables of README.md and docs/ that follow from the code; `npm run docs` writes them between their marks. */
import { readFileSync } from 'node:fs';
import { probeCatalogue } from '../src/probes/catalogue.ts';
import { SIZED_PROBES, samplesOf, samplesOfAgent } from '../test/support/node-size.ts';

export const CPU_COUNTS = [4, 16, 64, 128];
/** Samples of process_* and nodejs_*, whose number depends a little on what the process has open. */
const PROCESS = 60;
const FLEETS = [10, 1000, 10_000];
const SCRAPE_INTERVAL_S = 15;

/** Samples of a node's scrape with the default probes. */
export function samplesOfNode(cpus: number): number {
  const probes = probeCatalogue.filter(({ byDefault }) => byDefault);
  return probes.reduce((sum, { name }) => sum + samplesOf(name, cpus), 0) + samplesOfAgent(cpus) + PROCESS;
}

const rowOf = (first: string, cells: readonly number[]) =>
  `| ${[first, ...cells.map((cell) => cell.toLocaleString('en-US'))].join(' | ')} |`;

function probes(): string[] {
  const [on, off] = [true, false].map((state) =>
    probeCatalogue.filter(({ byDefault }) => byDefault === state),
  );
  return [...on, ...off].map(
    ({ name, help, byDefault }) => `| \`${name}\` | ${help} | ${byDefault ? 'on' : 'off'} |`,
  );
}

/** One row per metric. The six latency tracers share theirs. */
function metrics(): string[] {
  const families = new Map(probeCatalogue.flatMap((probe) => probe.metrics).map((one) => [one.name, one]));
  return [...families.values()].map(({ name, labels, open = [], help }) => {
    const owners = probeCatalogue.filter((probe) => probe.metrics.some((one) => one.name === name));
    const owned = owners.map((probe) => `\`${probe.name}\``).join(', ');
    const marked = labels.map((label) => (open.includes(label) ? `${label}*` : label)).join(', ');
    return `| ${owned} | \`${name}\` | ${marked} | ${help} |`;
  });
}

function samples(): string[] {
  return [
    ...SIZED_PROBES.map((probe) =>
      rowOf(
        `\`${probe}\``,
        CPU_COUNTS.map((cpus) => samplesOf(probe, cpus)),
      ),
    ),
    rowOf('the agent', CPU_COUNTS.map(samplesOfAgent)),
    rowOf(
      '`process_*` and `nodejs_*`, about',
      CPU_COUNTS.map(() => PROCESS),
    ),
    rowOf('**total with the default probes**', CPU_COUNTS.map(samplesOfNode)),
  ];
}

function samplesPerSecond(): string[] {
  return FLEETS.map((nodes) =>
    rowOf(
      nodes.toLocaleString('en-US'),
      CPU_COUNTS.map((cpus) => Math.round((samplesOfNode(cpus) * nodes) / SCRAPE_INTERVAL_S)),
    ),
  );
}

const TABLES: readonly [path: string, mark: string, head: string[], rows: () => string[]][] = [
  ['README.md', 'probes', ['| probe | what it measures | default |', '|---|---|---|'], probes],
  ['docs/metrics.md', 'metrics', ['| probe | metric | labels | meaning |', '|---|---|---|---|'], metrics],
  ['docs/sizing.md', 'samples', ['| probe | 4 CPUs | 16 | 64 | 128 |', '|---|---|---|---|---|'], samples],
  [
    'docs/sizing.md',
    'samples per second',
    ['| nodes | 4 CPUs each | 16 | 64 | 128 |', '|---|---|---|---|---|'],
    samplesPerSecond,
  ],
];

/** Texts of the files with such tables, by path. */
export function generatedDocs(): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [path, mark, head, rows] of TABLES) {
    const text = texts.get(path) ?? readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
    const begin = `<!-- ${mark}: npm run docs -->`;
    const [start, end] = [text.indexOf(begin), text.indexOf(`<!-- end of ${mark} -->`)];
    if (start < 0 || end < start) throw new Error(`${path} has no marks for its table of ${mark}`);
    const table = ['', '', ...head, ...rows(), '', ''].join('\n');
    texts.set(path, text.slice(0, start + begin.length) + table + text.slice(end));
  }
  return texts;
}
