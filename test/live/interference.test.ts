/**
 * Other users change the agent's instance. Within seconds, the agent reports everything that stops or filters events,
 * and sets the affected probes to down. After a minute it undoes the change. It counts events that others read or
 * discard, and never pairs calls across a pause, however short.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  globSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, makeBench, needTool, type Scrape } from '../support/agent.ts';

const bench = makeBench('interfere');
/** Far more than the agent needs, because a busy machine may be slow. */
const LONGEST_MS = 60_000;

/** Waits until `isSo` accepts the value. Fails with the last value. */
async function until<T>(look: () => Promise<T>, isSo: (value: T) => boolean, what: string): Promise<T> {
  for (const end = Date.now() + LONGEST_MS; ; await sleep(50)) {
    const value = await look();
    if (isSo(value)) return value;
    assert.ok(Date.now() < end, `${what}: ${JSON.stringify(value)}`);
  }
}

const readiness = async (agent: Agent) => {
  const response = await fetch(`${agent.url}/readyz`);
  return `${response.status} ${await response.text()}`;
};
const lost = (scrape: Scrape, reason: string) => scrape.sum('ftrace_exporter_events_lost_total', { reason });
const upOf = (scrape: Scrape, probe: string) => scrape.sum('ftrace_exporter_probe_up', { probe });
const isReady = (text: string) => text.startsWith('200');

/** Opens the file with O_TRUNC, as a shell's `>` does, which clears a list. */
function replace(file: string, value: string): void {
  writeFileSync(file, `${value}\n`);
}

test('whatever stops or thins events is named, in metrics too, until it is undone', async () => {
  const agent = await bench.start({});
  const mask = readFileSync(join(agent.dir, 'tracing_cpumask'), 'utf8').trim();
  const only = 'softirq';
  const all = 'sched block irq softirq'.split(' ');
  const cases: [string, string, string, readonly string[]][] = [
    ['tracing_on', '0', '1', all],
    ['events/enable', '0', '', all],
    ['set_event', '', '', all],
    ['events/irq/softirq_raise/enable', '0', '1', [only]],
    ['events/irq/softirq_raise/filter', 'vec == 77', '0', [only]],
    ['tracing_cpumask', '1', mask, all],
    ['set_event_pid', '1', '', all],
    ['set_event_notrace_pid', '1', '', all],
    ['options/overwrite', '0', '1', all],
  ];
  const enabled = readFileSync(join(agent.dir, 'set_event'), 'utf8').trim().split('\n');
  for (const [file, value, back, down] of cases) {
    replace(join(agent.dir, file), value);
    const named = file.includes('enable') || file === 'set_event' ? 'events were disabled' : agent.dir;
    const reason = await until(
      () => readiness(agent),
      (text) => text.startsWith('503') && text.includes(named),
      file,
    );
    assert.match(reason, /the agent undoes such a change after 60 s/);
    const scrape = await agent.scrape();
    assert.equal(scrape.sum('ftrace_exporter_ready'), 0, file);
    for (const probe of all)
      assert.equal(upOf(scrape, probe), down.includes(probe) ? 0 : 1, `${file}: ${probe}`);
    const status = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
      capture: { probes: { name: string; reason: string }[] };
    };
    for (const { name, reason: why } of status.capture.probes) assert.equal(why !== '', down.includes(name));
    if (named === 'events were disabled')
      for (const event of enabled) replace(join(agent.dir, 'events', event.replace(':', '/'), 'enable'), '1');
    else replace(join(agent.dir, file), back);
    await until(() => readiness(agent), isReady, `${file} undone`);
    assert.equal((await agent.scrape()).sum('ftrace_exporter_ready'), 1, file);
  }
  assert.equal(await agent.stop(), 0, agent.stderr());
});

test('another size of the buffer is in force and named, without the agent being less ready', async () => {
  const agent = await bench.start({ buffer: { per_cpu: '2MiB' } });
  const status = async () =>
    (
      (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
        capture: {
          bufferBytesPerCpu: number;
          buffers: { bufferBytesPerCpu: number }[];
          warnings: string[];
          tickMs: number;
        };
      }
    ).capture;
  for (const kib of [256, 4096]) {
    replace(join(agent.dir, 'buffer_size_kb'), String(kib));
    const isNear = (bytes: number) => bytes >= kib * 1024 && bytes < kib * 1024 * 1.5;
    const now = await until(status, ({ bufferBytesPerCpu }) => isNear(bufferBytesPerCpu), `${kib} KiB`);
    assert.ok(isNear(now.buffers[0].bufferBytesPerCpu));
    assert.ok(
      now.warnings.some((text) => /another user has changed the buffer size of/.test(text)),
      String(now.warnings),
    );
    assert.ok(isReady(await readiness(agent)));
  }
  // With 2 MiB, the agent drains after 35 ms at the latest, on up to 8 CPUs.
  await until(status, ({ tickMs }) => tickMs > 40, 'pace of draining with 4 MiB');
  assert.equal(await agent.stop(), 0, agent.stderr());
});

test('what somebody switched off is on again after a minute', async () => {
  const agent = await bench.start({ buffer: { per_cpu: '2MiB' } });
  const read = (file: string) => readFileSync(join(agent.dir, file), 'utf8').trim();
  const files = {
    tracing_cpumask: '1',
    'events/irq/softirq_raise/enable': '0',
    'events/irq/softirq_raise/filter': 'vec == 77',
    set_event_pid: '1',
    buffer_size_kb: '256',
    tracing_on: '0',
  };
  const before = Object.keys(files).map(read);
  for (const [file, value] of Object.entries(files)) replace(join(agent.dir, file), value);
  await until(
    () => readiness(agent),
    (text) => text.startsWith('503'),
    'noticed',
  );
  await sleep(55_000);
  assert.match(await readiness(agent), /^503/, 'not before the time it says');
  await until(() => readiness(agent), isReady, 'undone');
  assert.deepEqual(Object.keys(files).map(read), before);
  assert.match(agent.stderr(), /undid a change by another program.*tracing_on/);
  const { events } = await until(
    async () => ({ events: (await agent.scrape()).sum('ftrace_exporter_events_read_total') }),
    ({ events }) => events > 0,
    'events come again',
  );
  assert.ok(events > 0);
  assert.equal(await agent.stop(), 0, agent.stderr());
});

test('what others take or throw away is counted, and no counter falls', async () => {
  const agent = await bench.start({ probes: { syscalls: {} } });
  const workload = await bench.workload(
    'const work = () => { for (let i = 0; i < 200_000; i++) process.ppid; };',
  );
  const scrape = await agent.scrape();
  assert.equal(lost(scrape, 'taken') + lost(scrape, 'cleared'), 0);
  const thief = openSync(
    join(agent.dir, 'per_cpu/cpu0/trace_pipe_raw'),
    constants.O_RDONLY | constants.O_NONBLOCK,
  );
  const pages = Buffer.alloc(65536);
  let stolen = 0;
  const running = workload.run();
  const end = Date.now() + LONGEST_MS;
  while (stolen < 20 && Date.now() < end) {
    try {
      if (readSync(thief, pages, 0, pages.length, null) > 0) stolen++;
    } catch {
      await sleep(1);
    }
  }
  closeSync(thief);
  await running;
  assert.ok(stolen > 0);
  const scrapeAfter = await until(
    () => agent.scrape(),
    (now) => lost(now, 'taken') > 0,
    'taken',
  );
  const overrun = lost(scrapeAfter, 'overrun');
  replace(join(agent.dir, 'trace'), '');
  const cleared = await until(
    () => agent.scrape(),
    (now) => lost(now, 'cleared') > 0,
    'cleared',
  );
  assert.ok(lost(cleared, 'taken') >= lost(scrapeAfter, 'taken'));
  assert.ok(lost(cleared, 'overrun') >= overrun);
  await workload.end();
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.match(agent.stderr(), /another reader takes events from this buffer/);
});

/** Makes calls of 10 ms on several threads. Returns how many took longer than 95 ms, because the machine was busy. */
const WAITS = `
import signal, sys, threading, time
stop = threading.Event()
long = []
def work():
    while not stop.is_set():
        began = time.monotonic()
        signal.sigtimedwait([signal.SIGUSR2], 0.01)
        if time.monotonic() - began > 0.095: long.append(1)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
print('running', flush=True)
sys.stdin.readline()
stop.set()
for thread in threads: thread.join()
print(len(long), flush=True)
`;

const WAIT_CALL = 'rt_sigtimedwait';

/** Starts the program WAITS. `end` ends it, and asserts that no call became longer than it was. */
async function startWaits(t: TestContext, agent: Agent) {
  needTool('python3', 'python3');
  const python = spawn('python3', ['-c', WAITS], { stdio: ['pipe', 'pipe', 'inherit'] });
  bench.atEnd(() => void python.kill('SIGKILL'));
  let output = '';
  python.stdout.on('data', (chunk) => {
    output += chunk;
  });
  while (!output.includes('running')) await sleep(20);
  await sleep(300);
  return async (): Promise<Scrape> => {
    python.stdin.end('\n');
    while (!/running\n\d+/.test(output)) await sleep(20);
    const trulyLong = Number(output.split('\n')[1]);
    const metric = 'ftrace_syscall_duration_seconds';
    const scrape = await until(
      () => agent.scrape(),
      (now) => now.sum(`${metric}_count`, { syscall: WAIT_CALL }) > 0,
      'calls',
    );
    const count = scrape.sum(`${metric}_count`, { syscall: WAIT_CALL });
    const long = count - scrape.sum(`${metric}_bucket`, { syscall: WAIT_CALL, le: '0.1' });
    t.diagnostic(`${count} calls, ${long} over 100 ms, of which the program says ${trulyLong}`);
    assert.ok(count > 200, `${count} calls`);
    assert.ok(long <= trulyLong, `${long} calls over 100 ms, the program made ${trulyLong}`);
    assert.ok(scrape.sum('ftrace_exporter_unmatched_total', { probe: 'syscalls', reason: 'lost' }) > 0);
    return scrape;
  };
}

for (const reader of ['raw', 'trace_pipe'])
  test(`no call is made up across a pause, long or short, with reader ${reader}`, async (t) => {
    const agent = await bench.start({ reader, probes: { syscalls: { include: [WAIT_CALL] } } });
    const end = await startWaits(t, agent);
    const pause = async (file: string, ms: number) => {
      const path = join(agent.dir, file);
      replace(path, '0');
      await sleep(ms);
      replace(path, '1');
      await sleep(300);
    };
    await pause('tracing_on', 3000);
    for (let i = 0; i < 5; i++) await pause('tracing_on', 300);
    for (const file of ['events/raw_syscalls/enable', 'events/raw_syscalls/sys_exit/enable'])
      await pause(file, 300);
    const scrape = await end();
    assert.ok(lost(scrape, 'paused') >= 8, 'every pause is counted');
    assert.equal(await agent.stop(), 0, agent.stderr());
  });

for (const [reader, stolen] of [
  ['raw', 'trace_pipe'],
  ['trace_pipe', 'per_cpu/cpu*/trace_pipe_raw'],
])
  test(`no call is made up across events that cat takes from ${stolen}, or that somebody clears`, async (t) => {
    const agent = await bench.start({ reader, probes: { syscalls: { include: [WAIT_CALL] } } });
    const endWaits = await startWaits(t, agent);
    let takenBefore = 0;
    const files = globSync(stolen, { cwd: agent.dir });
    assert.ok(files.length > 0);
    const steal = async () => {
      const thieves = files.map((file) =>
        spawn('cat', [join(agent.dir, file)], { stdio: ['ignore', 'pipe', 'inherit'] }),
      );
      bench.atEnd(() => thieves.forEach((thief) => void thief.kill('SIGKILL')));
      // A cat of trace_pipe_raw may end by itself, because the kernel sometimes answers with the end of the file.
      const ended = thieves.map((thief) => once(thief, 'close'));
      for (const thief of thieves) thief.stdout.resume();
      await sleep(300);
      for (const thief of thieves) thief.kill('SIGKILL');
      await Promise.all(ended);
      return agent.scrape();
    };
    for (let i = 0; i < 5; i++) {
      const scrape = await until(steal, (now) => lost(now, 'taken') > takenBefore, 'taken');
      takenBefore = lost(scrape, 'taken');
      await sleep(300);
      for (const end = Date.now() + 300; Date.now() < end; await sleep(2))
        replace(join(agent.dir, 'trace'), '');
      await sleep(300);
    }
    const scrape = await endWaits();
    assert.ok(lost(scrape, 'cleared') > 0);
    assert.ok(lost(scrape, 'taken') >= takenBefore);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });

test('a process that was stopped says how long it read nothing', async () => {
  const agent = await bench.start({});
  agent.child.kill('SIGSTOP');
  await sleep(6000);
  agent.child.kill('SIGCONT');
  const gap = await until(
    async () => (await agent.scrape()).sum('ftrace_exporter_max_drain_gap_seconds'),
    (seconds) => seconds > 0,
    'gap',
  );
  assert.ok(gap >= 6, `${gap} s`);
  await until(() => readiness(agent), isReady, 'ready again');
  const at = (await agent.scrape()).sum('ftrace_exporter_last_drain_timestamp_seconds');
  assert.ok(Math.abs(Date.now() / 1000 - at) < 5, String(at));
  assert.equal(await agent.stop(), 0, agent.stderr());
});

/** Stops one thread as a debugger does, until a line arrives or the input ends. */
const STOP_THREAD = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
tid = int(sys.argv[1])
SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, tid, None, None) != 0: sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(tid, WALL)
print('stopped', flush=True)
sys.stdin.readline()
libc.ptrace(DETACH, tid, None, None)
`;

function readTasks(pid: number): { tid: string; comm: string }[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => ({
    tid,
    comm: readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim(),
  }));
}

test('a capture thread that hangs is seen while the process answers', async () => {
  needTool('python3', 'python3');
  const agent = await bench.start({});
  const { pid } = agent.child;
  const tids = readTasks(pid as number).filter(({ comm }) => comm.startsWith('ftrace-capture'));
  assert.equal(tids.length, 1, JSON.stringify(readTasks(pid as number)));
  const debugging = spawn('python3', ['-c', STOP_THREAD, tids[0].tid], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  bench.atEnd(() => void debugging.kill('SIGKILL'));
  await new Promise((resolve) => debugging.stdout.once('data', resolve));
  await until(
    () => readiness(agent),
    (text) => /^503 not ready: the capture thread has not read the buffers for \d+ s/.test(text),
    'not ready',
  );
  const scrape = await agent.scrape();
  assert.equal(scrape.sum('ftrace_exporter_ready'), 0);
  assert.equal(upOf(scrape, 'sched'), 0);
  assert.equal((await fetch(`${agent.url}/healthz`)).status, 200, 'the process can recover by itself');
  const health = await until(
    async () => {
      const response = await fetch(`${agent.url}/healthz`);
      return { status: response.status, text: await response.text() };
    },
    ({ status }) => status !== 200,
    'not alive',
  );
  assert.equal(health.status, 503);
  assert.match(health.text, /not alive: the capture thread has not read the buffers for \d+ s/);
  debugging.stdin.end('\n');
  await until(() => readiness(agent), isReady, 'ready again');
  assert.equal((await fetch(`${agent.url}/healthz`)).status, 200);
  assert.equal(await agent.stop(), 0, agent.stderr());
});
