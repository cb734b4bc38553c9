/**
 * Counts that the kernel keeps itself (hist triggers): they equal the work, no event is recorded, what finds no room is
 * counted as lost, and nothing remains after the agent.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { isOlder } from '../tracers.ts';
import { cli, endWell, KERNEL, nodeOn, type RunningAgent, SHARE, startAgent, TRACEFS, until } from './lab.ts';

const INSTANCE = 'lab-counts';
const DIR = join(TRACEFS, 'instances', INSTANCE);
const N = 300;
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const LIBC = /\S+\/libc\.so\.6$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? '';
const config = (more: object) =>
  JSON.stringify({ instance: INSTANCE, state_dir: '/run', probes: OFF, ...more });
const counted = (name: string, event: unknown, labels: object, more: object = {}) => ({
  ...{ name, help: 'A.', event, labels, count_in: 'kernel', ...more },
});
/** Calls getppid. Returns the pid of the program. */
const work = () => nodeOn(0, `for (let i = 0; i < ${N}; i++) process.ppid; console.log(process.pid)`).trim();

/** Debian has built its kernels with CONFIG_HIST_TRIGGERS since some version between 5.10 and 6.1. */
const COUNTS = existsSync(join(TRACEFS, 'events/raw_syscalls/sys_exit/hist'));
const SKIP = COUNTS ? false : 'this kernel is built without hist triggers';
const running: RunningAgent[] = [];
/** An agent that a failed check leaves would be in the way of the next one. */
const started = async (more: object) => {
  const agent = await startAgent(config(more));
  running.push(agent);
  return agent;
};
afterEach(() => {
  for (const { child } of running) child.kill('SIGKILL');
});

describe('counts in the kernel', { skip: COUNTS ? 'this kernel has them' : false }, () => {
  it('are off with the reason', async () => {
    assert.ok(isOlder(KERNEL, '6.1'), 'the kernel must have them');
    const agent = await started({ metrics: [counted('all_total', 'raw_syscalls:sys_exit', {})] });
    const up = (await agent.scrape()).sum('ftrace_exporter_probe_up', { probe: 'metrics/all_total' });
    assert.equal(up, 0);
    assert.match(agent.stderr(), /probe=metrics\/all_total reason=".*built without hist triggers/);
    agent.child.kill('SIGTERM');
    assert.equal(await agent.ended, 0, agent.stderr());
  });
});

describe('counts in the kernel', { skip: SKIP }, () => {
  it('equal the work, by the forms of labels, and record nothing', async () => {
    const call = { field: 'id', as: 'syscall' };
    const task = { field: 'common_pid', as: 'number' };
    const agent = await started({
      metrics: [
        counted('calls_total', 'raw_syscalls:sys_exit', { call, task }, { per_cpu: true, max_series: 4000 }),
        counted('all_total', 'raw_syscalls:sys_exit', {}),
        counted('failed_total', 'raw_syscalls:sys_exit', { result: { field: 'ret', as: 'errno' } }),
        counted('libc_total', { uprobe: `${LIBC}:getppid` }, { task }),
      ],
      probes: { ...OFF, events: { count: ['sched:sched_process_exec'], count_in: 'kernel' } },
    });
    const before = (await agent.scrape()).sum('ftrace_events_total');
    const pid = work();
    const hist = readFileSync(join(DIR, 'events/raw_syscalls/sys_exit/hist'), 'utf8');
    writeFileSync(join(SHARE, 'hist.txt'), hist);
    const scrape = await agent.scrape();
    assert.equal(scrape.sum('ftrace_calls_total', { call: 'getppid', task: pid, cpu: '0' }), N);
    assert.equal(scrape.sum('ftrace_libc_total', { task: pid }), N);
    assert.ok(scrape.sum('ftrace_failed_total', { result: 'ENOENT' }) > 0);
    assert.ok(scrape.sum('ftrace_all_total') >= scrape.sum('ftrace_calls_total', { task: pid }));
    assert.ok(scrape.sum('ftrace_events_total') > before);
    assert.equal(scrape.sum('ftrace_exporter_events_read_total'), 0);
    await endWell(agent, { reads: false });
    assert.equal(existsSync(DIR), false);
    assert.equal(readFileSync(join(TRACEFS, 'uprobe_events'), 'utf8'), '');
  });

  it('that find no room are counted as lost', async () => {
    const task = { field: 'common_pid', as: 'number' };
    const agent = await started({
      metrics: [counted('exits_total', 'sched:sched_process_exit', { task }, { max_series: 1 })],
    });
    execFileSync('sh', ['-c', 'for i in $(seq 300); do /bin/true; done']);
    const scrape = await agent.scrape();
    const lost = scrape.sum('ftrace_exporter_events_lost_total', {
      buffer: 'metrics/exits_total',
      reason: 'no_room',
    });
    assert.ok(lost > 0);
    assert.ok(scrape.sum('ftrace_exits_total') + lost >= 300);
    assert.equal(scrape.values('ftrace_exits_total', 'task').length, 2);
    agent.child.kill('SIGTERM');
    assert.equal(await agent.ended, 0, agent.stderr());
  });

  it('that somebody ends turn the metric off; a killed agent leaves nothing for long', async () => {
    const agent = await started({ metrics: [counted('libc_total', { uprobe: `${LIBC}:getppid` }, {})] });
    const [, group] = /p:(\S+)\//.exec(readFileSync(join(TRACEFS, 'uprobe_events'), 'utf8')) ?? [];
    const trigger = join(DIR, 'events', group ?? '', 'libc_total_event/trigger');
    const up = async () =>
      (await agent.scrape()).sum('ftrace_exporter_probe_up', { probe: 'metrics/libc_total' });
    assert.equal(await up(), 1);
    writeFileSync(trigger, '!hist:keys=common_type\n');
    await until(async () => (await up()) === 0, 'the metric is off');
    agent.child.kill('SIGKILL');
    await agent.ended;
    assert.notEqual(readFileSync(join(TRACEFS, 'uprobe_events'), 'utf8'), '');
    const { status, stdout, stderr } = cli(['cleanup', '--instance', INSTANCE, '--state.dir', '/run']);
    assert.equal(status, 0, stdout + stderr);
    assert.equal(readFileSync(join(TRACEFS, 'uprobe_events'), 'utf8'), '');
    assert.equal(spawnSync('ls', [DIR]).status, 2);
  });
});

describe('hits of a kretprobe that the kernel misses', () => {
  it('are counted as lost', async () => {
    const SLEEPERS = 40;
    const agent = await started({
      metrics: [
        {
          name: 'slept_seconds',
          help: 'A.',
          start: { kprobe: 'hrtimer_nanosleep' },
          end: { kretprobe: 'hrtimer_nanosleep' },
        },
      ],
    });
    execFileSync('sh', ['-c', `for i in $(seq ${SLEEPERS}); do sleep 20 & done; wait`]);
    const place = { buffer: 'metrics/slept_seconds', reason: 'missed' };
    const sums = async () => {
      const scrape = await agent.scrape();
      const probe = 'metrics/slept_seconds';
      return {
        missed: scrape.sum('ftrace_exporter_events_lost_total', place),
        measured: scrape.sum('ftrace_slept_seconds_count'),
        lost: scrape.sum('ftrace_exporter_unmatched_total', { probe, reason: 'lost' }),
      };
    };
    await until(async () => (await sums()).missed > 0, 'misses are counted');
    // Missed returns leave their starts open: what did return is measured, or void because something was missed meanwhile.
    const { missed, measured, lost } = await sums();
    assert.ok(missed + measured + lost >= SLEEPERS, JSON.stringify({ missed, measured, lost }));
    agent.child.kill('SIGTERM');
    assert.equal(await agent.ended, 0, agent.stderr());
    assert.equal(readFileSync(join(TRACEFS, 'kprobe_events'), 'utf8'), '');
  });
});
