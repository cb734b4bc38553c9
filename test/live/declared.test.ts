/**
 * Declared metrics, and the probes that consist of them, on the running kernel. Filters select the test's own workload,
 * whose number of operations is known; for other events the kernel's counters are the reference. Needs root and
 * tracefs.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Agent, makeBench, type Scrape, settled, TRACEFS } from '../support/agent.ts';
import { declaredProbes } from '../support/declared-probes.ts';

const bench = makeBench('declared');
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const N = 50;
const has = (event: string) => existsSync(join(TRACEFS, 'events', event.replace(':', '/'), 'format'));
const unmatched = (scrape: Scrape, name: string, reason: string) =>
  scrape.sum('ftrace_exporter_unmatched_total', { probe: `metrics/${name}`, reason });

for (const reader of ['raw', 'trace_pipe']) {
  describe(`declared metrics, reader ${reader}`, () => {
    test('count what one program does', async () => {
      const file = join(bench.directory, `sync-${reader}`);
      writeFileSync(file, 'x');
      const workload = await bench.workload(`
        const net = require('node:net');
        const fs = require('node:fs');
        const port = ${closedPort()};
        const fd = fs.openSync(${JSON.stringify(file)}, 'r+');
        process.on('SIGUSR2', () => {});
        const refused = () => new Promise((resolve) => net.connect(port, '127.0.0.1').on('error', resolve));
        const work = async () => {
          for (let i = 0; i < ${N}; i++) {
            process.ppid;
            await refused();
            process.kill(process.pid, 'SIGUSR2');
            fs.writeSync(fd, String(i), 0);
            fs.fsyncSync(fd);
            await new Promise((resolve) => setImmediate(resolve));
          }
          return port;
        };`);
      const port = await workload.run<number>();
      const mine = `common_pid == ${workload.pid}`;
      const isExt4 = spawnSync('stat', ['-f', '-c', '%T', bench.directory])
        .stdout.toString()
        .startsWith('ext');
      const agent = await bench.start({
        reader,
        probes: OFF,
        metrics: [
          {
            name: 'entered_total',
            help: 'A.',
            event: 'raw_syscalls:sys_enter',
            where: `id == ${GETPPID} && ${mine}`,
          },
          {
            name: 'getppid_seconds',
            help: 'A.',
            start: { event: 'raw_syscalls:sys_enter', where: `id == ${GETPPID} && ${mine}` },
            end: { event: 'raw_syscalls:sys_exit', where: `id == ${GETPPID} && ${mine}` },
            labels: { ret: { field: 'end.ret', as: 'errno' } },
          },
          {
            name: 'refused_total',
            help: 'A.',
            event: 'sock:inet_sock_set_state',
            where: `dport == ${port} && oldstate == 2 && newstate == 7`,
            labels: { family: 'family' },
          },
          {
            name: 'signals_total',
            help: 'A.',
            event: 'signal:signal_deliver',
            where: `sig == 12 && ${mine}`,
            labels: { task: { field: 'common_pid', as: 'comm' } },
          },
          ...(isExt4
            ? [
                {
                  name: 'fsync_file_seconds',
                  help: 'A.',
                  start: { event: 'ext4:ext4_sync_file_enter', where: `ino == ${statSync(file).ino}` },
                  end: { event: 'ext4:ext4_sync_file_exit', where: `ino == ${statSync(file).ino}` },
                  key: { start: 'ino', end: 'ino' },
                },
              ]
            : []),
        ],
      });
      await workload.run();
      const scrape = await settled(agent, (one) => one.sum('ftrace_signals_total') >= N);
      assert.equal(scrape.sum('ftrace_exporter_events_lost_total'), 0);
      assert.equal(scrape.sum('ftrace_entered_total'), N);
      assert.equal(scrape.sum('ftrace_getppid_seconds_count', { ret: 'ok' }), N);
      assert.equal(scrape.sum('ftrace_refused_total', { family: 'AF_INET' }), N);
      assert.equal(scrape.sum('ftrace_signals_total'), N);
      if (isExt4) assert.equal(scrape.sum('ftrace_fsync_file_seconds_count'), N);
      for (const reason of ['no_start', 'no_end', 'lost', 'late', 'evicted'])
        assert.equal(unmatched(scrape, 'getppid_seconds', reason), 0, reason);
      // The kernel applies the filters, so the agent reads only this program's events.
      const read = scrape.sum('ftrace_exporter_events_read_total');
      assert.ok(read < 20 * N, `${read} events read`);
      assert.equal(await agent.stop(), 0, agent.stderr());
      await workload.end();
    });
  });
}

test('a filter holds, although another probe reads the event without it', async () => {
  const workload = await bench.workload(
    `const work = () => { for (let i = 0; i < ${N}; i++) process.ppid; };`,
  );
  const event = 'raw_syscalls:sys_enter';
  const agent = await bench.start({
    probes: { ...OFF, events: { count: [event] } },
    metrics: [
      { name: 'a_total', help: 'A.', event, where: `id == ${GETPPID} && common_pid == ${workload.pid}` },
      { name: 'b_total', help: 'B.', event: 'nosys:nothing' },
      { name: 'c_total', help: 'C.', event, labels: { x: 'nosuchfield' } },
    ],
  });
  await workload.run();
  const scrape = await settled(agent, (one) => one.sum('ftrace_a_total') >= N);
  assert.equal(scrape.sum('ftrace_a_total'), N);
  assert.ok(scrape.sum('ftrace_events_total', { event }) > N);
  assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe: 'metrics/a_total' }), 1);
  assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe: 'metrics/b_total' }), 0);
  assert.match(agent.stderr(), /probe=metrics\/b_total reason="this kernel has no event nosys:nothing/);
  assert.match(
    agent.stderr(),
    /probe=metrics\/c_total reason="event raw_syscalls:sys_enter .* no field nosuchfield/,
  );
  assert.equal(await agent.stop(), 0);
  await workload.end();
});

test('a count in the kernel is exact, or off with the reason', async () => {
  const event = 'raw_syscalls:sys_enter';
  const workload = await bench.workload(
    `const work = () => { for (let i = 0; i < ${N}; i++) process.ppid; };`,
  );
  const task = { field: 'common_pid', as: 'number' };
  const labels = { call: { field: 'id', as: 'syscall' }, task };
  const agent = await bench.start({
    probes: { ...OFF, events: { count: ['sched:sched_process_exec'] } },
    metrics: [{ name: 'calls_total', help: 'A.', event, labels, count_in: 'kernel', max_series: 10_000 }],
  });
  await workload.run();
  const scrape = await agent.scrape();
  const isOffered = existsSync(join(TRACEFS, 'events/raw_syscalls/sys_enter/hist'));
  const mine = { call: 'getppid', task: String(workload.pid) };
  assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe: 'metrics/calls_total' }), isOffered ? 1 : 0);
  assert.equal(scrape.sum('ftrace_calls_total', mine), isOffered ? N : 0);
  if (!isOffered)
    assert.match(
      agent.stderr(),
      /probe=metrics\/calls_total reason=".*built without hist triggers \(CONFIG_HIST_TRIGGERS\)/,
    );
  assert.equal(await agent.stop(), 0, agent.stderr());
  await workload.end();
});

describe('probes of declared metrics', () => {
  test('resets sent are those of the kernel’s own counter', {
    skip: !has('tcp:tcp_send_reset'),
  }, async () => {
    const agent = await bench.start({ probes: { ...OFF, network: {} } });
    const workload = await bench.workload(`
      const net = require('node:net');
      const refused = () => new Promise((resolve) => net.connect(${closedPort()}, '127.0.0.1').on('error', resolve));
      const work = async () => { for (let i = 0; i < ${N}; i++) await refused(); };`);
    const counted = (scrape: Scrape) => scrape.sum('ftrace_tcp_resets_sent_total');
    const outside = resetsSent();
    const first = await settledAlone(agent, counted);
    const inside = resetsSent();
    await workload.run();
    const insideLast = resetsSent();
    const last = await settled(agent, (one) => counted(one) - counted(first) >= N);
    const grown = counted(last) - counted(first);
    assert.ok(insideLast - inside >= N);
    assert.ok(grown >= insideLast - inside && grown <= resetsSent() - outside, `${grown} resets`);
    assert.equal(await agent.stop(), 0);
    await workload.end();
  });

  test('an OOM kill in a cgroup of our own is counted', async () => {
    const agent = await bench.start({ probes: { ...OFF, memory: {} } });
    const counted = (scrape: Scrape) => scrape.sum('ftrace_memory_oom_kills_total');
    assert.equal(counted(await agent.scrape()), 0);
    const before = oomKills();
    fillCgroup('24M');
    const after = oomKills();
    assert.ok(after > before, 'the kernel has killed nobody');
    const scrape = await settled(agent, (one) => counted(one) >= after - before);
    assert.ok(
      counted(scrape) >= after - before && counted(scrape) <= oomKills() - before,
      `${counted(scrape)} kills`,
    );
    // Before the kernel kills a task, it tries to reclaim memory.
    assert.ok(scrape.sum('ftrace_memory_reclaim_seconds_count', { kind: 'memcg' }) > 0);
    assert.equal(await agent.stop(), 0);
  });

  test('all of them run together; each that is off names an event', async () => {
    const all = Object.fromEntries(declaredProbes.map(({ name }) => [name, {}]));
    const agent = await bench.start({ probes: { ...OFF, ...all, isolation: { cpus: 0 } } });
    execFileSync('sync', [bench.directory]);
    const scrape = await settled(agent, (one) =>
      ['timer_lateness', 'workqueue_duration'].every((name) => one.sum(`ftrace_${name}_seconds_count`) > 0),
    );
    assert.ok(scrape.sum('ftrace_timer_lateness_seconds_count', { kind: 'hrtimer' }) > 0);
    assert.ok(scrape.sum('ftrace_workqueue_duration_seconds_count') > 0);
    assert.ok(scrape.sum('ftrace_isolation_interruptions_total', { cpu: '0' }) > 0);
    const status = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
      capture: { probes: { name: string; up: boolean; reason: string }[] };
    };
    for (const { name, up, reason } of status.capture.probes)
      assert.ok(up || /no event|none of the probe's events \(\w+:/.test(reason), `${name}: ${reason}`);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
});

/** Syscall number of getppid on this machine. */
const GETPPID = process.arch === 'arm64' ? 173 : 110;

/** A port that nobody listens on. */
function closedPort(): number {
  return 20_000 + (process.pid % 10_000);
}

function resetsSent(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/snmp', 'utf8').match(/^Tcp: .*$/gm) ?? [];
  return Number(values.split(' ')[names.split(' ').indexOf('OutRsts')]);
}

function oomKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1]);
}

/** Scrapes until two successive scrapes have the same count. */
async function settledAlone(agent: Agent, counted: (scrape: Scrape) => number): Promise<Scrape> {
  let before = -1;
  return settled(agent, (scrape) => {
    const isStill = counted(scrape) === before;
    before = counted(scrape);
    return isStill;
  });
}

/** Runs a program that takes more memory than its cgroup has. Works with both versions of cgroups. */
function fillCgroup(limit: string): void {
  const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const dir = join('/sys/fs/cgroup', isV2 ? '' : 'memory', `ftx-declared-${process.pid}`);
  if (isV2) writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+memory');
  mkdirSync(dir);
  bench.atEnd(() => rmdirSync(dir));
  writeFileSync(join(dir, isV2 ? 'memory.max' : 'memory.limit_in_bytes'), limit);
  const script = `echo $$ > ${dir}/cgroup.procs; exec "$0" -e 'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))'`;
  const { signal } = spawnSync('sh', ['-c', script, process.execPath]);
  assert.equal(signal, 'SIGKILL');
}
