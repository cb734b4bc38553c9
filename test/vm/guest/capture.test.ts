/**
 * Recordings made in the guest: their replay must count exactly. The host replays them too, and keeps the small one.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { getppids, TRACEFS, until } from './lab.ts';
import { recordWhile, replayed } from './recorded.ts';

function configOf(name: string, probes: string): string {
  return `instance: lab-${name}\nprobes: ${probes}\n`;
}

/** Whether all events of a recording are enabled: some are, and their number has stopped growing. */
function hasBegun(name: string): () => Promise<boolean> {
  const set = join(TRACEFS, 'instances', `lab-${name}-record`, 'set_event');
  const enabled = () => (existsSync(set) ? readFileSync(set, 'utf8').split('\n').length : 0);
  return async () => {
    const before = enabled();
    await sleep(200);
    return before > 1 && before === enabled();
  };
}

describe('a recording', () => {
  it('replays to the number of calls and requests there were', async () => {
    const CALLS = 500;
    const WRITES = 40;
    const config = configOf('whole', '{ syscalls: {} }');
    const file = await recordWhile('whole', config, hasBegun('whole'), () => {
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
    const samples = replayed('whole', config, file);
    const disk = { device: 'vda', operation: 'write' };
    assert.equal(samples.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' }), CALLS);
    assert.equal(samples.sum('ftrace_block_io_device_seconds_count', disk), WRITES);
    assert.equal(samples.sum('ftrace_block_io_bytes_total', disk), WRITES * 8192);
    assert.equal(samples.sum('ftrace_exporter_events_lost_total'), 0);
    assert.equal(samples.sum('ftrace_exporter_decode_errors_total'), 0);
  });

  it('of a moment has every kind of event', async () => {
    const config = configOf('small', '{ syscalls: { include: ["write", "fsync", "dup2", "wait4"] } }');
    const writes = () => Number(readFileSync('/sys/block/vda/stat', 'utf8').trim().split(/\s+/)[4]);
    const dd = 'dd if=/dev/zero of=/dev/vda bs=4k count=2 oflag=direct conv=fsync 2>/dev/null';
    const busy = spawn('taskset', ['-c', '0', 'sh', '-c', `while ${dd}; do sleep 0.1; done`], {
      detached: true,
      stdio: 'ignore',
    });
    try {
      const file = await recordWhile('small', config, hasBegun('small'), async () => {
        const start = writes();
        await until(() => writes() >= start + 4, 'the disk has been written to');
      });
      const samples = replayed('small', config, file);
      const kinds = ['sched_runqueue_latency', 'softirq_duration', 'irq_duration', 'block_io_device'];
      for (const name of [...kinds, 'syscall_duration'])
        assert.ok(samples.sum(`ftrace_${name}_seconds_count`) > 0, name);
    } finally {
      if (busy.pid !== undefined) process.kill(-busy.pid, 'SIGKILL');
    }
  });
});
