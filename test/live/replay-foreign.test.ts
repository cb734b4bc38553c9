/**
 * Recordings by trace-cmd itself: its report and our replay must count the same events, event by event and CPU by CPU.
 * Needs root, tracefs and trace-cmd. trace-cmd records only into instances and with -d and -k; without these it would
 * write to the function tracer of the whole machine, which some kernels refuse.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadAgentConfig } from '../../src/agent/main/compose-config.ts';
import { replayCapture } from '../../src/agent/replay/replay.ts';
import { createRenderer } from '../../src/export/exposition/text.ts';
import { openCapture } from '../../src/tracedat/read.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';
import { parseExposition } from '../support/exposition.ts';
import { heldUp } from '../support/trace-cmd.ts';

const INSTANCES = join(findTracefs({ mayMount: true }), 'instances');
const NAME = `ftx-foreign-${process.pid}`;
const OTHER = `${NAME}-other`;
const dir = mkdtempSync(join(tmpdir(), 'replay-foreign-'));

function removeInstances(): void {
  for (const name of [NAME, OTHER]) if (existsSync(join(INSTANCES, name))) rmdirSync(join(INSTANCES, name));
}

after(() => {
  removeInstances();
  rmSync(dir, { recursive: true });
});

const SHELL = 'for i in $(seq 40); do cat /proc/self/stat > /dev/null; ls / > /dev/null; done; true';

/** Records the events of a shell with trace-cmd; `args` follow the name of the first instance. */
function record(args: readonly string[], script = SHELL): string {
  const file = join(dir, 'recorded.dat');
  rmSync(file, { force: true });
  try {
    const command = ['record', '-d', '-k', '-q', '-o', file, '-B', NAME, ...args, 'sh', '-c', script];
    const { status, stderr } = spawnSync('trace-cmd', command, { encoding: 'utf8', cwd: dir });
    assert.equal(status, 0, stderr);
    return file;
  } finally {
    removeInstances();
  }
}

/**
 * What `trace-cmd report` prints: number of events by `cpu event`, number of dropped events, and number of losses of
 * unknown size (`uncounted`; a full page has no room for the size).
 */
function reported(
  file: string,
  instance = NAME,
): { counts: Record<string, number>; dropped: number; uncounted: number } {
  const { status, stdout, stderr } = spawnSync('trace-cmd', ['report', '-i', file], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  assert.equal(status, 0, stderr);
  const counts: Record<string, number> = {};
  let dropped = 0;
  let uncounted = 0;
  let follows = false;
  for (const line of stdout.split('\n')) {
    // The line after one about dropped events does not begin with the instance's name.
    if (!follows && !line.trimStart().startsWith(`${instance}:`)) continue;
    const lost = /CPU:\d+ \[(?:(\d+) )?EVENTS DROPPED\]/.exec(line);
    if (lost?.[1] !== undefined) dropped += Number(lost[1]);
    else if (lost !== null) uncounted++;
    follows = lost !== null;
    // With some clocks, no space precedes the timestamp.
    const [, cpu, event] = /-\d+\s+\[(\d{3})\]\s*[\d.]+:\s+(\w+):/.exec(line) ?? [];
    if (event === undefined) continue;
    const key = `${Number(cpu)} ${event}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return { counts, dropped, uncounted };
}

interface Replayed {
  counts: Record<string, number>;
  value(name: string, labels?: Record<string, string>): number;
  warnings: readonly string[];
  text: string;
}

async function replayed(file: string, instance?: string): Promise<Replayed> {
  const config = join(dir, 'config.yaml');
  writeFileSync(
    config,
    'probes:\n  events: { enabled: true, count: ["*:*"] }\n  syscalls: { enabled: true }\n',
  );
  const quiet = () => {};
  const { snapshots, status } = await replayCapture(
    loadAgentConfig({ file: config, env: {}, flags: {}, probes: [] }),
    file,
    {
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      instance,
    },
  );
  const text = createRenderer({ constantLabels: {} }).render(snapshots, 'text').toString('utf8');
  const samples = parseExposition(text);
  const counts: Record<string, number> = {};
  for (const { name, labels, value } of samples)
    if (name === 'ftrace_events_total' && Number(value) > 0)
      counts[`${labels.cpu} ${labels.event.split(':')[1]}`] = Number(value);
  const value = (name: string, labels: Record<string, string> = {}) =>
    samples
      .filter(
        (sample) =>
          sample.name === name && Object.entries(labels).every(([key, is]) => sample.labels[key] === is),
      )
      .reduce((sum, sample) => sum + Number(sample.value), 0);
  return { counts, value, warnings: status.warnings, text };
}

/** Fails unless trace-cmd and the replay count the same events, and enough of them. */
async function same(file: string): Promise<Replayed> {
  const { counts } = reported(file);
  const ours = await replayed(file);
  assert.ok(Object.values(counts).reduce((sum, count) => sum + count, 0) > 1000, JSON.stringify(counts));
  assert.deepEqual(ours.counts, counts);
  const read = ours.value('ftrace_exporter_events_read_total');
  assert.equal(
    read,
    Object.values(counts).reduce((sum, count) => sum + count, 0),
  );
  assert.deepEqual(ours.text.match(/^ftrace_exporter_decode_errors_total\{.*[1-9]\d*$/gm) ?? [], []);
  return ours;
}

/** Calls `same` on a recording without losses. Other programs can cause losses, so it tries several times. */
async function sameOfWhole(args: readonly string[]): Promise<Replayed & { file: string }> {
  for (let attempt = 1; ; attempt++) {
    const file = record(args);
    const { dropped, uncounted } = reported(file);
    if (dropped + uncounted === 0) return { ...(await same(file)), file };
    assert.ok(attempt < 5, 'events were lost in every recording');
  }
}

const SCHED = ['-e', 'sched', '-e', 'raw_syscalls'];
const version = (file: string) => readFileSync(file).toString('latin1', 10, 11);
const compressions = spawnSync('trace-cmd', ['list', '-c'], { encoding: 'utf8' }).stdout ?? '';

describe('what trace-cmd records', () => {
  for (const clock of ['mono', 'local', 'global', 'boot', 'tai']) {
    it(`is counted as it reports it, clock ${clock}`, async () => {
      const { value, warnings, file } = await sameOfWhole([...SCHED, '-C', clock]);
      assert.equal(version(file), '7');
      assert.deepEqual(warnings, []);
      assert.ok(value('ftrace_syscall_duration_seconds_count') > 100);
      assert.ok(value('ftrace_sched_runqueue_latency_seconds_count') > 0);
    });
  }

  it('is counted as it reports it, version 6', async () => {
    const { warnings, file } = await sameOfWhole([...SCHED, '-C', 'mono', '--file-version', '6']);
    assert.equal(version(file), '6');
    assert.deepEqual(warnings, []);
  });

  for (const compression of ['none', 'zlib', 'zstd']) {
    const has = compression === 'none' || compressions.includes(compression);
    it(`is counted as it reports it, compression ${compression}`, {
      skip: has ? false : 'this trace-cmd lacks it',
    }, async () => {
      const file = record([...SCHED, '-C', 'mono', '--compression', compression]);
      assert.ok(readFileSync(file).subarray(0, 40).includes(`${compression}\0`));
      await same(file);
    });
  }

  for (const clock of ['counter', 'uptime', 'x86-tsc']) {
    const has = readFileSync(join(INSTANCES, '../trace_clock'), 'utf8').includes(clock);
    it(`is counted, and has no durations, clock ${clock}`, {
      skip: has ? false : 'no such clock here',
    }, async () => {
      const { warnings, text, value } = await same(record([...SCHED, '-C', clock]));
      assert.match(warnings.join(), new RegExp(`clock ${clock} are not nanoseconds`));
      assert.doesNotMatch(text, /^ftrace_(?!exporter_)\w*seconds/m);
      assert.ok(value('ftrace_sched_switches_total') > 0);
    });
  }

  it('has lost what it reports as dropped, and pairs with it', async () => {
    const loop = 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); : < /dev/null; done';
    const file = record([...SCHED, '-C', 'mono', '-b', '16'], heldUp(loop));
    const { dropped, uncounted } = reported(file);
    const { value, warnings } = await same(file);
    assert.ok(dropped > 0, `${dropped} lost, and ${uncounted} losses uncounted`);
    const lost = value('ftrace_exporter_events_lost_total', { reason: 'overrun' });
    if (uncounted === 0) assert.equal(lost, dropped);
    else
      assert.ok(
        lost > dropped,
        `${lost} lost, ${dropped} reported as dropped and ${uncounted} losses uncounted`,
      );
    assert.ok(value('ftrace_exporter_unmatched_total', { reason: 'lost' }) > 0);
    assert.match(warnings.join(), /\d+ events were lost while recording/);
  });

  it('is read instance by instance', async () => {
    const file = record(['-e', 'sched', '-C', 'mono', '-B', OTHER, '-e', 'raw_syscalls', '-C', 'mono']);
    for (const name of [NAME, OTHER]) {
      const { counts } = reported(file, name);
      assert.ok(Object.keys(counts).length > 0);
      assert.deepEqual((await replayed(file, name)).counts, counts);
    }
    assert.match((await replayed(file)).warnings.join(), new RegExp(`2 buffers.*${NAME}`));
    assert.throws(() => openCapture(file, { instance: 'none' }), /no instance "none"/);
  });

  it('is used as far as it goes when it is cut off', async () => {
    const file = record([...SCHED, '-C', 'mono', '--file-version', '6']);
    const whole = (await replayed(file)).counts;
    const capture = openCapture(file);
    const last = Math.max(...capture.source.cpus().filter((cpu) => capture.cpuPages(cpu) > 0));
    const start = Number(/\d+/.exec(capture.placeOf(last, 0))?.[0]);
    const pages = capture.cpuPages(last);
    capture.close();
    truncateSync(file, start + (pages - 1) * 4096 + 100);
    assert.ok(statSync(file).size > start);
    const { counts, warnings } = await replayed(file);
    assert.match(
      warnings.join('\n'),
      new RegExp(`CPU ${last}: the file ends after .* within page ${pages} of ${pages}`),
    );
    for (const [key, count] of Object.entries(counts)) assert.ok(count <= whole[key], key);
    for (const key of Object.keys(whole))
      if (!key.startsWith(`${last} `)) assert.equal(counts[key], whole[key], key);
  });
});
