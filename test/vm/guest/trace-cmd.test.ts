/**
 * Recordings by trace-cmd: several clocks, tracers of functions, losses. Our replay of each is left to the host beside
 * the file; the host compares both with trace-cmd's report.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { skipWithout } from '../../support/tools.ts';
import { countsOf, heldUp, replayCounts } from '../../support/trace-cmd.ts';
import { controlFiles, differences } from './control-files.ts';
import { SHARE, skipTracer, TRACEFS } from './lab.ts';

const INTO = join(SHARE, 'trace-cmd');
/** KiB per CPU: more than is recorded, however late trace-cmd reads, and less than is recorded. */
const [AMPLE, TIGHT] = ['32768', '16'];
const MEMORY = process.env.TMPDIR ?? '/tmp';
const EVENTS = ['-e', 'sched', '-e', 'raw_syscalls', '-e', 'irq'];
const SOME = 'for i in 1 2 3 4 5; do cat /proc/self/stat; ls /; done >/dev/null';
const MANY = heldUp('i=0; while [ $i -lt 3000 ]; do i=$((i+1)); : </dev/null; done');

interface Recording {
  args: readonly string[];
  script: string;
  /** Events are lost, because the buffer is small and nobody reads it meanwhile. */
  lossy?: boolean;
}

const clocks = readFileSync(join(TRACEFS, 'trace_clock'), 'utf8').replaceAll(/[[\]]/g, '').trim().split(' ');
const RECORDINGS: Record<string, Recording> = {};
for (const clock of ['mono', 'local', 'global', 'boot', 'x86-tsc', 'counter'])
  if (clocks.includes(clock)) RECORDINGS[`clock-${clock}`] = { args: ['-C', clock, ...EVENTS], script: SOME };
RECORDINGS.v6 = { args: ['-C', 'mono', '--file-version', '6', ...EVENTS], script: SOME };
RECORDINGS.lossy = { args: ['-C', 'mono', ...EVENTS], script: MANY, lossy: true };
if (!skipTracer('function')) {
  const filter = ['-p', 'function', '-l', 'vfs_*'];
  RECORDINGS.function = { args: [...filter, '-C', 'mono', '-e', 'sched'], script: SOME };
  RECORDINGS['function-lossy'] = { args: [...filter, '-C', 'mono'], script: MANY, lossy: true };
}
if (!skipTracer('function_graph'))
  RECORDINGS.function_graph = {
    args: ['-p', 'function_graph', '-l', 'vfs_*', '-C', 'mono', '-e', 'sched'],
    script: SOME,
  };

const skip = skipWithout('trace-cmd', 'trace-cmd');

describe('trace-cmd records', { skip }, () => {
  for (const [name, { args, script, lossy }] of Object.entries(RECORDINGS)) {
    it(`${name}, which replays`, async () => {
      const files = controlFiles();
      const file = join(MEMORY, `${name}.dat`);
      const size = ['-b', lossy ? TIGHT : AMPLE];
      const command = ['record', '-q', '-o', file, ...args, ...size, 'sh', '-c', script];
      const { status, stderr } = spawnSync('trace-cmd', command, { encoding: 'utf8', cwd: MEMORY });
      assert.equal(status, 0, stderr);
      // trace-cmd restores less than it changes; the rest would be in the way of other tests.
      spawnSync('trace-cmd', ['reset'], { cwd: MEMORY });
      const changes = differences(files, controlFiles());
      const replayed = await replayCounts(file);
      assert.ok(countsOf(replayed.counts) > 50, JSON.stringify(replayed.counts));
      assert.equal(replayed.lost > 0, lossy === true, `${replayed.lost} lost`);
      mkdirSync(INTO, { recursive: true });
      copyFileSync(file, join(INTO, `${name}.dat`));
      writeFileSync(join(INTO, `${name}.json`), JSON.stringify(replayed));
      assert.deepEqual(changes, []);
    });
  }
});
