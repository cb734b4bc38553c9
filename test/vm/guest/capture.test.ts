/** Recordings made here: their replay counts exactly; the host replays them too, and keeps the small one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cli, getppids, SHARE, samplesOf, startCli, TRACEFS, until } from './lab.ts';

const CAPTURES = join(SHARE, 'captures');
mkdirSync(CAPTURES, { recursive: true });

/** Records while `work` runs, and writes the replay beside the recording: NAME.dat, NAME.yaml, NAME.txt. */
async function recorded(name: string, probes: string, work: () => void): Promise<string> {
  const config = `instance: lab-${name}\nprobes: ${probes}\n`;
  const set = join(TRACEFS, 'instances', `lab-${name}-record`, 'set_event');
  // Written to memory first: a share over 9p would fill the recording with its own interrupts.
  const file = join(process.env.TMPDIR ?? '/tmp', `${name}.dat`);
  const running = startCli(['record', '-o', file, '--duration', '1h'], config);
  const enabled = () => (existsSync(set) ? readFileSync(set, 'utf8').split('\n').length : 0);
  await until(() => enabled() > 1, 'the recording starts').catch((error: Error) => {
    throw new Error(`${error.message}: ${running.stderr()}`);
  });
  for (let before = 0; before !== enabled(); await sleep(500)) before = enabled();
  work();
  running.child.kill('SIGINT');
  assert.equal(await running.ended, 0, running.stderr());
  assert.doesNotMatch(running.stderr(), /level=(warn|error)/);
  copyFileSync(file, join(CAPTURES, `${name}.dat`));
  writeFileSync(join(CAPTURES, `${name}.yaml`), config);
  const replay = cli(['replay', file, '--config.file', join(CAPTURES, `${name}.yaml`)]);
  assert.equal(replay.status, 0, replay.stderr);
  writeFileSync(join(CAPTURES, `${name}.txt`), replay.stdout);
  return replay.stdout;
}

describe('a recording', () => {
  it('replays to the number of calls and requests there were', async () => {
    const CALLS = 500;
    const WRITES = 40;
    const text = await recorded('whole', '{ syscalls: {} }', () => {
      getppids(0, CALLS);
      execFileSync('dd', [
        'if=/dev/zero',
        'of=/dev/vda',
        'bs=8k',
        `count=${WRITES}`,
        'oflag=direct',
        'status=none',
      ]);
    });
    const samples = samplesOf(text);
    const disk = { device: 'vda', operation: 'write' };
    assert.equal(samples.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' }), CALLS);
    assert.equal(samples.sum('ftrace_block_io_device_seconds_count', disk), WRITES);
    assert.equal(samples.sum('ftrace_block_io_bytes_total', disk), WRITES * 8192);
    assert.equal(samples.sum('ftrace_exporter_events_lost_total'), 0);
    assert.equal(samples.sum('ftrace_exporter_decode_errors_total'), 0);
  });

  it('of few events is small, and has every kind of them', async () => {
    const script =
      'for i in 1 2 3; do /bin/true; done; dd if=/dev/zero of=/dev/vda bs=4k count=8 oflag=direct,sync';
    const text = await recorded(
      'small',
      '{ syscalls: { include: ["pwrite64", "fsync", "dup2", "wait4"] } }',
      () => {
        execFileSync('taskset', ['-c', '0', 'sh', '-c', script], { stdio: 'ignore' });
      },
    );
    const samples = samplesOf(text);
    for (const name of [
      'sched_runqueue_latency',
      'softirq_duration',
      'irq_duration',
      'block_io_device',
      'syscall_duration',
    ])
      assert.ok(samples.sum(`ftrace_${name}_seconds_count`) > 0, name);
    assert.ok(statSync(join(CAPTURES, 'small.dat')).size < 1 << 20);
  });
});
