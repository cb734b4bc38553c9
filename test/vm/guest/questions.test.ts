/**
 * The probes of declared metrics, all at once: each whose events this kernel has is up and counts a workload, exactly if
 * its number is known; each other one is off with a reason that names the event. The table says what each kernel lacks,
 * so a probe that is off for another reason fails.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isOlder } from '../tracers.ts';
import { endWell, KERNEL, nodeOn, type RunningAgent, startAgent, TRACEFS } from './lab.ts';
import { type Gain, gained } from './tracer-group.ts';

const N = 40;
const DISK = 'nvme0n1';
const MOUNT = '/run/lab-ext4';
const GROUPS = '/run/lab-cgroup';

interface Question {
  /** The probe's section of the config. */
  options?: object;
  /** One of the events without which it is off. */
  event: string;
  /** Causes what it counts. */
  work(): void | Promise<void>;
  /** Throws if the counts are wrong. */
  check(gain: Gain): void;
  /** Whether the counts have come. */
  isThere(gain: Gain): boolean;
}

function atLeast(least: number, name: string, labels: Record<string, string> = {}) {
  return {
    isThere: (gain: Gain) => gain(name, labels) >= least,
    check: (gain: Gain) => assert.ok(gain(name, labels) >= least, `${name}: ${gain(name, labels)}`),
  };
}

function exactly(count: number, name: string, labels: Record<string, string> = {}) {
  return {
    ...atLeast(count, name, labels),
    check: (gain: Gain) => assert.equal(gain(name, labels), count, name),
  };
}

/** `nvme` is first, while nobody else uses the disk. */
const QUESTIONS: Readonly<Record<string, Question>> = {
  nvme: {
    event: 'nvme:nvme_setup_cmd',
    work: () => dd('if=/dev/zero', `of=/dev/${DISK}`, 'bs=4k', `count=${N}`, 'oflag=direct'),
    ...exactly(N, 'ftrace_nvme_command_seconds_count', { opcode: 'write' }),
  },
  filesystem: {
    event: 'ext4:ext4_sync_file_enter',
    work: () => {
      execFileSync('mkfs.ext4', ['-q', '-F', `/dev/${DISK}`], { stdio: ['ignore', 'ignore', 'pipe'] });
      mkdirSync(MOUNT);
      execFileSync('mount', [`/dev/${DISK}`, MOUNT]);
      dd('if=/dev/zero', `of=${MOUNT}/file`, 'bs=4k', `count=${N}`, 'oflag=sync');
    },
    ...exactly(N, 'ftrace_fsync_seconds_count', { filesystem: 'ext4' }),
  },
  memory: {
    event: 'oom:mark_victim',
    options: { page_faults: true },
    work: () => {
      const group = join(GROUPS, 'small');
      writeFileSync(join(group, 'memory.max'), '16M');
      const script = `echo $$ >${group}/cgroup.procs; exec dd if=/dev/zero of=/dev/null bs=64M count=1`;
      assert.equal(spawnSync('sh', ['-c', script]).signal, 'SIGKILL');
    },
    isThere: (gain) => gain('ftrace_memory_oom_kills_total') >= 1,
    check: (gain) => {
      assert.equal(gain('ftrace_memory_oom_kills_total'), 1);
      assert.ok(gain('ftrace_memory_reclaim_seconds_count', { kind: 'memcg' }) > 0, 'no reclaim');
      // Up to the limit, a fault gives it a page or a huge page.
      assert.ok(gain('ftrace_memory_page_faults_total') > 8, 'no faults');
    },
  },
  network: {
    event: 'sock:inet_sock_set_state',
    work: () => connections(N),
    isThere: (gain) => gain('ftrace_tcp_connect_seconds_count') >= N,
    // The scrapes connect, too.
    check: (gain) => {
      const count = gain('ftrace_tcp_connect_seconds_count');
      assert.ok(count >= N && count < 2 * N, `${count} connections`);
    },
  },
  locks: {
    event: 'lock:contention_begin',
    work: contention,
    ...atLeast(1, 'ftrace_lock_contention_seconds_count'),
  },
  workqueue: {
    event: 'workqueue:workqueue_execute_start',
    work: () => void execFileSync('sync'),
    isThere: (gain) => gain('ftrace_workqueue_duration_seconds_count') > 0,
    check: (gain) => {
      for (const what of ['latency', 'duration'])
        assert.ok(gain(`ftrace_workqueue_${what}_seconds_count`) > 0, what);
    },
  },
  timers: {
    event: 'timer:hrtimer_start',
    work: sleeps,
    ...atLeast(N, 'ftrace_timer_lateness_seconds_count', { kind: 'hrtimer' }),
  },
  isolation: {
    event: 'irq:softirq_entry',
    options: { cpus: '1' },
    work: sleeps,
    isThere: (gain) => gain('ftrace_isolation_interruptions_total', { cpu: '1' }) > 0,
    check: (gain) => {
      assert.ok(gain('ftrace_isolation_interruptions_total', { cpu: '1', source: 'softirq' }) > 0);
      assert.ok(gain('ftrace_isolation_seconds_total', { cpu: '1' }) > 0);
      assert.equal(gain('ftrace_isolation_interruptions_total', { cpu: '0' }), 0);
    },
  },
  idle: {
    event: 'power:cpu_idle',
    work: sleeps,
    ...atLeast(N, 'ftrace_idle_seconds_count'),
  },
  blocked: {
    event: 'sched:sched_switch',
    work: () => dd('if=/dev/vda', 'of=/dev/null', 'bs=4k', `count=${N}`, 'iflag=direct'),
    ...atLeast(1, 'ftrace_blocked_seconds_count'),
  },
  kvm: { event: 'kvm:kvm_exit', work: () => {}, ...atLeast(1, 'ftrace_kvm_exit_seconds_count') },
};

/** The events of KVM belong to a module that the guests do not have. */
const LACKS = ['kvm', ...(isOlder(KERNEL, '5.19') ? ['locks'] : [])];

function dd(...operands: string[]): void {
  execFileSync('dd', [...operands, 'status=none']);
}

function sleeps(): void {
  nodeOn(1, `for (let i = 0; i < ${N}; i++) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3)`);
}

async function connections(count: number): Promise<void> {
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  for (let i = 0; i < count; i++) {
    const socket = createConnection(address.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
  }
  await new Promise((resolve) => server.close(resolve));
}

/** Two tasks create and remove files in one directory, until the kernel has seen them wait for each other. */
async function contention(): Promise<void> {
  const loop = (cpu: number) =>
    `const { writeFileSync, unlinkSync } = require('node:fs'); const until = Date.now() + 3000;
     while (Date.now() < until) { writeFileSync('/run/tmp/lock${cpu}', ''); unlinkSync('/run/tmp/lock${cpu}'); }`;
  await Promise.all(
    [0, 1].map((cpu) => {
      const child = spawn('taskset', ['-c', String(cpu), process.execPath, '-e', loop(cpu)]);
      return new Promise((resolve) => child.on('close', resolve));
    }),
  );
}

describe('questions of declared metrics', () => {
  let agent: RunningAgent;
  let probes: { name: string; up: boolean; reason: string }[] = [];
  before(async () => {
    mkdirSync(GROUPS);
    execFileSync('mount', ['-t', 'cgroup2', 'none', GROUPS]);
    writeFileSync(join(GROUPS, 'cgroup.subtree_control'), '+memory');
    mkdirSync(join(GROUPS, 'small'));
    const off = Object.fromEntries(
      ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
    );
    const questions = Object.entries(QUESTIONS).map(([name, { options = {} }]) => [name, options]);
    const config = { instance: 'lab-questions', probes: { ...off, ...Object.fromEntries(questions) } };
    agent = await startAgent(JSON.stringify(config));
    const { body } = await agent.get('/api/v1/status');
    probes = (JSON.parse(body) as { capture: { probes: typeof probes } }).capture.probes;
  });
  after(async () => {
    agent?.child.kill('SIGKILL');
    await agent?.ended;
    spawnSync('umount', [MOUNT]);
    rmdirSync(join(GROUPS, 'small'));
    spawnSync('umount', [GROUPS]);
  });

  it('this kernel has the events of all probes but those that it is known to lack', () => {
    const lacking = Object.entries(QUESTIONS).filter(
      ([, { event }]) => !existsSync(join(TRACEFS, 'events', event.replace(':', '/'))),
    );
    assert.deepEqual(lacking.map(([name]) => name).sort(), [...LACKS].sort());
  });

  for (const [name, { event, work, isThere, check }] of Object.entries(QUESTIONS))
    if (LACKS.includes(name))
      it(`${name} is off, and the reason names its event`, () => {
        const { up, reason } = probes.find((probe) => probe.name === name) ?? { up: true, reason: '' };
        assert.deepEqual([up, reason.includes(event)], [false, true], reason);
      });
    else
      it(`${name} is up, and counts its workload`, async () => {
        assert.deepEqual(
          probes.find((probe) => probe.name === name),
          { ...probes.find((probe) => probe.name === name), up: true, reason: '' },
        );
        check(await gained(agent, work, isThere));
      });

  it('lose nothing', async () => {
    // Warnings about what this kernel lacks.
    await endWell(agent, { warns: /probe=(kvm|locks) |this kernel has no event/ });
  });
});
