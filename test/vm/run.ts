/**
 * `npm run test:vm`: boots each kernel of the lab, one at a time, and runs the checks in it. Prints one line per check
 * and `N passed, N failed`. Exits with 0 if nothing failed, 2 for a wrong argument or a missing package.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cacheDir } from './apt.ts';
import { boot, missingPackages, type Outcome } from './boot.ts';
import { missingForBuild } from './build-kernel.ts';
import type { CheckNote, CheckResult } from './guest/reporter.ts';
import { checkCaptures } from './host-checks.ts';
import { fetchKernel, isReady, RECIPES, type Recipe } from './kernels.ts';
import { concerns, LAB_TRACERS } from './tracers.ts';
import { buildTree } from './tree.ts';
import { trimCapture } from './trim.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const FIXTURES = join(REPOSITORY, 'test/fixtures/captures');
/** Live tests that hold for any kernel, beside the lab's own. */
const LIVE = ['formats', 'syscalls', 'probes', 'task-names'].map((name) => `test/live/${name}.test.ts`);
const TIME_LIMIT_MS = 45 * 60_000;
const FILE_LIMIT_S = 720;
/** The guest ends a test file that takes longer, if its kernel still runs. */
const QUIET_LIMIT_MS = (FILE_LIMIT_S + 60) * 1000;
const TRIES = 2;
/** Pages of a recording that is kept in the repository, of events and of a tracer. */
const FIXTURE_PAGES = 30;
const TRACER_FIXTURE_PAGES = 5;

const tally = { passed: 0, failed: 0 };

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kernel: { type: 'string', multiple: true },
      check: { type: 'string', multiple: true },
      tracer: { type: 'string', multiple: true },
      list: { type: 'boolean' },
      'save-captures': { type: 'boolean' },
    },
  });
  const unknown = (values.kernel ?? []).filter((name) => !RECIPES.some((recipe) => recipe.name === name));
  if (unknown.length > 0) throw new Wrong(`no kernel ${unknown.join(', ')}: --list shows what there is`);
  const tracers = values.tracer ?? [];
  const strange = tracers.filter((name) => !LAB_TRACERS.some((tracer) => tracer.name === name));
  if (strange.length > 0) throw new Wrong(`no tracer ${strange.join(', ')}: --list shows what there is`);
  const files = checkFiles()
    .filter((file) => (values.check ?? ['']).some((part) => basename(file).includes(part)))
    .filter((file) => tracers.length === 0 || concerns(basename(file, '.test.ts'), tracers));
  if (files.length === 0) throw new Wrong('no check has all that in its name: --list shows them');
  if (values.list) {
    for (const { name, suite, source } of RECIPES)
      console.log(`kernel ${name} (${source === undefined ? '' : `built from ${source} of `}${suite})`);
    for (const { name, since, only } of LAB_TRACERS)
      console.log(`tracer ${name} (${only ?? `from ${since}`})`);
    for (const file of files) console.log(`check ${file}`);
    return 0;
  }
  const recipes = RECIPES.filter(({ name }) => values.kernel === undefined || values.kernel.includes(name));
  const builds = recipes.some((recipe) => recipe.source !== undefined && !isReady(recipe));
  const missing = [...missingPackages(), ...(builds ? missingForBuild() : [])];
  if (missing.length > 0) throw new Wrong(`install first: apt-get install ${missing.join(' ')}`);

  for (const recipe of recipes) {
    await testKernel(recipe, { files, tracers, saveCaptures: values['save-captures'] === true });
  }
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

class Wrong extends Error {}

function checkFiles(): string[] {
  const own = readdirSync(new URL('./guest', import.meta.url)).filter((file) => file.endsWith('.test.ts'));
  return [...own.sort().map((file) => `test/vm/guest/${file}`), ...LIVE];
}

interface Choice {
  files: readonly string[];
  /** Empty: all. */
  tracers: readonly string[];
  saveCaptures: boolean;
}

async function testKernel(recipe: Recipe, { files, tracers, saveCaptures }: Choice): Promise<void> {
  const kernel = fetchKernel(recipe, console.log);
  const serialLog = join(cacheDir(), recipe.name, 'serial.log');
  const share = mkdtempSync(join(tmpdir(), 'ftrace-exporter-lab-'));
  const captures = join(share, 'captures');
  try {
    mkdirSync(join(share, 'results'));
    mkdirSync(captures);
    buildTree(REPOSITORY, join(share, 'tree.tar'));
    copyFileSync(process.execPath, join(share, 'node'));
    for (const file of kernel.extra) copyFileSync(file, join(share, basename(file)));
    const printed = new Map<string, number>();
    const onProgress = () => printNew(recipe.name, share, printed);
    let remaining = files;
    let outcome: Outcome;
    for (let attempt = 1; ; attempt++) {
      const script = guestScript(recipe.name, remaining, tracers);
      const limits = { timeLimitMs: TIME_LIMIT_MS, quietLimitMs: QUIET_LIMIT_MS };
      outcome = await boot(kernel, { script, share, ...limits, serialLog, onProgress });
      const stumbled = stumbleOf(outcome);
      remaining = remaining.filter((file) => statusOf(share, file) !== '0');
      // A kernel that crashes or stands still under emulation proves nothing about the product. What then failed or did
      // not run gets one more try.
      if (stumbled === undefined || remaining.length === 0 || attempt === TRIES) break;
      console.log(`${recipe.name}: ${stumbled}; once more: ${remaining.join(', ')}`);
      for (const file of remaining) {
        rmSync(resultsOf(share, file), { force: true });
        rmSync(statusFileOf(share, file), { force: true });
        printed.delete(resultsOf(share, file));
      }
    }
    const more = [...endOf(outcome, files, share, serialLog), ...(await checkCaptures(share))];
    for (const result of more) print(recipe.name, result);
    count([...files.flatMap((file) => read(resultsOf(share, file))), ...more]);
    if (saveCaptures) saveCapturesOf(recipe.name, captures);
  } finally {
    rmSync(share, { recursive: true });
  }
}

/** What the kernel printed when it panicked or stood still. */
function stumbleOf(outcome: Outcome): string | undefined {
  if (outcome.kind === 'panic') return outcome.reason;
  if (outcome.kind === 'standstill') return `nothing was done for ${QUIET_LIMIT_MS / 1000} s`;
  return outcome.kind === 'ended' ? outcome.stall : undefined;
}

const statusFileOf = (share: string, file: string) => join(share, 'results', `${basename(file)}.status`);
const resultsOf = (share: string, file: string) => join(share, 'results', `${basename(file)}.jsonl`);

/** Exit status of the process that ran a file; '' if it did not end. */
function statusOf(share: string, file: string): string {
  const status = statusFileOf(share, file);
  return existsSync(status) ? readFileSync(status, 'utf8').trim() : '';
}

/** The complete lines that a file has written so far. */
function read(file: string): (CheckResult | CheckNote)[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as CheckResult | CheckNote);
}

/** Runs each file in its own process, so that the others still run if one hangs or dies. */
function guestScript(kernel: string, files: readonly string[], tracers: readonly string[]): string {
  const runs = files.map((file) => {
    const into = `/run/lab/results/${basename(file)}`;
    return `timeout -k 10 ${FILE_LIMIT_S} /run/node --test --test-isolation=none --test-concurrency=1 \\
  --test-reporter=./test/vm/guest/reporter.js --test-reporter-destination=${into}.jsonl ${file.replace(/\.ts$/, '.js')}
echo $? >${into}.status`;
  });
  // Node is copied to memory: on 5.10 the cached 9p of the root reads page by page and takes half a minute for Node.
  return `mkdir /run/tree && cd /run/tree && tar -xf /run/lab/tree.tar && cp /run/lab/node /run/node || exit 1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/tmp NODE_COMPILE_CACHE=/run/tmp/compiled
export FTX_LAB_KERNEL=${kernel} FTX_LAB_SHARE=/run/lab FTX_LAB_TRACERS=${tracers.join(',')}
${runs.join('\n')}
exit 0
`;
}

/** Prints what has come since the last call. Returns how much there is, including files that have ended. */
function printNew(kernel: string, share: string, printed: Map<string, number>): number {
  let there = 0;
  for (const name of readdirSync(join(share, 'results')).sort()) {
    there++;
    if (!name.endsWith('.jsonl')) continue;
    const file = join(share, 'results', name);
    const results = read(file);
    for (const result of results.slice(printed.get(file) ?? 0)) print(kernel, result);
    printed.set(file, results.length);
    there += results.length;
  }
  return there;
}

function print(kernel: string, result: CheckResult | CheckNote): void {
  if ('note' in result) {
    console.log(`     ${kernel}    ${result.note}`);
    return;
  }
  const mark = result.skipped ? 'skip' : result.ok ? 'ok  ' : 'FAIL';
  console.log(`${mark} ${kernel}  ${result.name}  (${(result.tookMs / 1000).toFixed(1)} s)`);
  if (!result.ok) console.log(result.detail.replaceAll(/^/gm, '       '));
}

/** What went wrong beside single checks: files that died or never ran, a boot that did not end. */
function endOf(
  outcome: Outcome,
  files: readonly string[],
  share: string,
  serialLog: string,
): readonly CheckResult[] {
  const failed = (name: string, detail: string): CheckResult => ({ name, ok: false, tookMs: 0, detail });
  const results: CheckResult[] = [];
  if (outcome.kind !== 'ended') {
    const reason =
      'reason' in outcome
        ? outcome.reason
        : (stumbleOf(outcome) ?? `not done after ${TIME_LIMIT_MS / 60_000} minutes`);
    results.push(failed('the boot', `${outcome.kind}: ${reason}; the serial log is ${serialLog}`));
  } else if (outcome.status !== 0) {
    results.push(failed('the script', readFileSync(join(share, 'output'), 'utf8')));
  }
  for (const file of files) {
    const status = statusOf(share, file);
    // 1: single checks failed, and these have their own lines.
    if (status !== '0' && status !== '1')
      results.push(failed(file, status === '' ? 'did not end' : `ended with ${status} (124: took too long)`));
  }
  return results;
}

function count(results: readonly (CheckResult | CheckNote)[]): void {
  for (const result of results) {
    if ('note' in result || result.skipped) continue;
    if (result.ok) tally.passed++;
    else tally.failed++;
  }
}

/** `KERNEL.dat` with events, `KERNEL.TRACER.dat`, and the config that each was recorded with. */
function saveCapturesOf(kernel: string, captures: string): void {
  mkdirSync(FIXTURES, { recursive: true });
  const keep = (name: string, as: string, pages: number) => {
    const file = join(captures, `${name}.dat`);
    if (!existsSync(file)) return;
    const fixture = join(FIXTURES, `${as}.dat`);
    trimCapture(file, fixture, pages);
    copyFileSync(join(captures, `${name}.yaml`), join(FIXTURES, `${as}.yaml`));
    console.log(`${kernel}: kept ${fixture}, ${statSync(fixture).size} bytes`);
  };
  keep('small', kernel, FIXTURE_PAGES);
  for (const { name } of LAB_TRACERS) keep(name, `${kernel}.${name}`, TRACER_FIXTURE_PAGES);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Wrong) && (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE') !== true)
    throw error;
  console.error((error as Error).message);
  process.exitCode = 2;
}
