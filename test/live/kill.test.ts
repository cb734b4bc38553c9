/**
 * Agents that are killed at random moments, also while they start: recording stops and buffers shrink by themselves,
 * nothing outside of the instance has changed, and the next start or `cleanup` leaves nothing behind.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, cleanEnvironment, makeBench, readTrimmed, TRACEFS } from '../support/agent.ts';

const bench = makeBench('kill');
const AT_ONCE = 5;
const ROUNDS = 10;
/** Agents are killed within so many times what their start takes here and now. */
const LATEST = 1.2;
const MOST_MS = 4000;
/** A set-up of one page of each kind, so that there is something to shrink. */
const CONFIG = { buffer: { per_cpu: '2MiB', subbuffer: '16KiB' }, probes: { softirq: { enabled: false } } };
/** The kernel keeps two sub-buffers a CPU, of up to 16 KiB here, and the one being read. */
const MOST_KB_LEFT = 3 * 16;

/**
 * Files that change by themselves or because somebody looks: sizes the kernel counts itself, names and ids it
 * remembers of any task, what other users' errors were, and the streams of events.
 */
const EXEMPT = new Set([
  'buffer_size_kb',
  'buffer_total_size_kb',
  'dyn_ftrace_total_info',
  'enabled_functions',
  'error_log',
  'saved_cmdlines',
  'saved_cmdlines_size',
  'saved_tgids',
  'touched_functions',
  'trace',
  'trace_pipe',
  'trace_marker',
  'trace_marker_raw',
  'free_buffer',
  // 37,000 lines each that only loading code changes.
  'available_filter_functions',
  'available_filter_functions_addrs',
]);

/** Every control file of the top level that can be read, its options and the switches of its events. */
function topLevel(): Map<string, string> {
  const files = new Map<string, string>();
  const take = (...path: string[]) => {
    const file = join(TRACEFS, ...path);
    if (!statSync(file).isFile()) return;
    try {
      files.set(join(...path), readFileSync(file, 'utf8'));
    } catch (error) {
      files.set(join(...path), `cannot be read: ${(error as NodeJS.ErrnoException).code}`);
    }
  };
  for (const name of readdirSync(TRACEFS)) if (!EXEMPT.has(name)) take(name);
  for (const name of readdirSync(join(TRACEFS, 'options'))) take('options', name);
  take('events', 'enable');
  for (const system of readdirSync(join(TRACEFS, 'events'))) {
    if (existsSync(join(TRACEFS, 'events', system, 'enable'))) take('events', system, 'enable');
  }
  return files;
}

/** mulberry32: small, and the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a killed agent has left must not record, nor hold memory. The kernel frees it just after the process. */
async function assertQuiet(dir: string, note: string): Promise<void> {
  const left = () => ({
    // The kernel makes an instance with its switch on: whoever is killed just then has no events on yet.
    recording: readTrimmed(dir, 'tracing_on') !== '0' && readTrimmed(dir, 'set_event') !== '',
    large: Number.parseInt(readTrimmed(dir, 'buffer_size_kb'), 10) > MOST_KB_LEFT,
  });
  for (let tries = 0; tries < 50 && (left().recording || left().large); tries++) await sleep(20);
  assert.deepEqual(
    left(),
    { recording: false, large: false },
    `${note}: ${readTrimmed(dir, 'buffer_size_kb')} KiB`,
  );
}

function cleanup(instance: string) {
  return spawnSync(process.execPath, [BIN, 'cleanup'], {
    env: { ...cleanEnvironment(), FTRACE_EXPORTER_INSTANCE: instance },
    encoding: 'utf8',
  });
}

describe('an agent that is killed', () => {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
  let untouched: Map<string, string>;
  before(() => {
    untouched = topLevel();
  });

  it(`has stopped recording, freed its buffers and changed nothing else, ${AT_ONCE * ROUNDS} times`, async (t) => {
    t.diagnostic(`SEED=${seed}`);
    const random = randomFrom(seed);
    const instances = Array.from({ length: AT_ONCE }, (_, i) => bench.instanceName(`k${i}-`));
    const startedAt = performance.now();
    const first = await Promise.all(instances.map((instance) => bench.start(CONFIG, { instance })));
    const latestMs = Math.min(MOST_MS, (performance.now() - startedAt) * LATEST);
    for (const agent of first) agent.child.kill('SIGKILL');
    await Promise.all(first.map((agent) => agent.ended));
    let left = 0;
    let ready = 0;
    for (let round = 0; round < ROUNDS; round++) {
      // The next start of each takes over what the one before has left.
      await Promise.all(
        instances.map(async (instance) => {
          const delayMs = random() * latestMs;
          const agent = bench.launch(CONFIG, { instance });
          await sleep(delayMs);
          agent.child.kill('SIGKILL');
          const note = `SEED=${seed}, round ${round}, killed after ${delayMs.toFixed(0)} ms`;
          assert.equal(await agent.ended, 'SIGKILL', `${note}:\n${agent.stderr()}`);
          if (agent.stderr().includes('serving metrics')) ready++;
          if (!existsSync(agent.dir)) return;
          left++;
          await assertQuiet(agent.dir, note);
        }),
      );
      assert.deepEqual(topLevel(), untouched, `SEED=${seed}, round ${round}: the top level has changed`);
    }
    t.diagnostic(`of ${AT_ONCE * ROUNDS} killed, ${ready} were ready, ${left} left an instance`);
    assert.ok(left > 0, 'none was killed late enough to leave anything');

    for (const instance of instances) {
      const dir = join(TRACEFS, 'instances', instance);
      const existed = existsSync(dir);
      const { status, stdout, stderr } = cleanup(instance);
      assert.equal(status, 0, stderr);
      if (existed) assert.equal(stdout, `removed the instance ${instance}\n`);
      assert.equal(existsSync(dir), false);
    }
    assert.deepEqual(topLevel(), untouched);
  });

  it('is taken over by the next start, which says so and ends without a trace', async () => {
    const instance = bench.instanceName('next');
    const first = await bench.start(CONFIG, { instance });
    assert.equal(readTrimmed(first.dir, 'tracing_on'), '1');
    assert.ok(Number.parseInt(readTrimmed(first.dir, 'buffer_size_kb'), 10) >= 2048);
    first.child.kill('SIGKILL');
    assert.equal(await first.ended, 'SIGKILL');
    await assertQuiet(first.dir, 'killed when ready');
    const second = await bench.start(CONFIG, { instance });
    assert.match(second.stderr(), /removed an instance that a killed agent had left/);
    assert.ok((await second.scrape()).sum('ftrace_exporter_events_read_total') >= 0);
    assert.equal(await second.stop(), 0, second.stderr());
    assert.equal(existsSync(second.dir), false);
    assert.deepEqual(topLevel(), untouched);
  });
});
