/**
 * More cases of paths.test.ts, whose causes are disks, memory and sockets, and a comparison with perf.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, it } from 'node:test';
import { makeBench, needTool } from '../support/agent.ts';
import {
  checkPathCase,
  isOf,
  lasts,
  type PathCase,
  READS_BEHIND_A_HOG,
  RUNS,
} from '../support/path-cases.ts';

const bench = makeBench('path-causes');

before(() => {
  needTool('python3', 'python3');
  needTool('taskset', 'util-linux');
});

const isOfDisk = ({ name }: { name: string }) => name.startsWith('block ');

const CASES: PathCase[] = [
  {
    what: 'a read of pages that are not in memory',
    syscall: 'pread64',
    threshold: '1ms',
    script: `
SIZE = 8 << 20
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for i in range(8): os.pwrite(fd, os.urandom(1 << 20), i << 20)
os.fsync(fd)
for i in range(RUNS + 5):
    os.posix_fadvise(fd, 0, SIZE, os.POSIX_FADV_DONTNEED)
    os.pread(fd, SIZE, 0)
`,
    // The task waits for the read request, or for the kworker that issues it when the device can take it.
    expected: (_root, below) => below.some(isOfDisk),
    atLeast: RUNS,
  },
  {
    what: 'fsync behind the writeback of another task',
    syscall: 'fsync',
    threshold: '1ms',
    script: `
def writer():
    fd = os.open(sys.argv[1] + '.other', os.O_RDWR | os.O_CREAT)
    while True:
        for i in range(16): os.pwrite(fd, os.urandom(1 << 20), i << 20)
        os.fsync(fd)
        # Without a pause the file system lets the others wait for many seconds at times.
        time.sleep(0.02)
child('ftp-writer', writer)
time.sleep(0.3)
slow_fsyncs(4096)
`,
    expected: (_root, below) => below.some(isOfDisk),
    atLeast: RUNS,
  },
  {
    what: 'the peer of a unix socket waits for a CPU',
    syscall: 'recvfrom',
    script: `
above_others()
mine, theirs = socket.socketpair()
def sender():
    for i in range(RUNS + 5):
        time.sleep(0.005)
        spin(0.008)
        theirs.send(b'x')
child('ftp-sender', sender)
child('ftp-hog', hog, -5)
for i in range(RUNS + 5): mine.recv(1)
`,
    expected: (_root, below) => below.some((span) => isOf(span, 'runqueue wait', 'ftp-sender')),
    atLeast: RUNS,
  },
];

for (const one of CASES) it(one.what, async () => void (await checkPathCase(bench, one)));

/** Root of the cgroup hierarchy with the controller `memory`, and the names of its files for limit and failures. */
function memoryController() {
  const one = { dir: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', hits: 'memory.failcnt' };
  if (existsSync(join(one.dir, one.limit))) return one;
  const two = { dir: '/sys/fs/cgroup', limit: 'memory.max', hits: 'memory.events' };
  const enabled = join(two.dir, 'cgroup.subtree_control');
  return existsSync(enabled) && readFileSync(enabled, 'utf8').includes('memory') ? two : undefined;
}

it('reclaim in a small cgroup', async (t) => {
  const controller = memoryController();
  if (controller === undefined) {
    t.skip('needs a cgroup hierarchy with the controller memory');
    return;
  }
  const { dir, limit, hits } = controller;
  await checkPathCase(bench, {
    what: 'reclaim in a small cgroup',
    syscall: 'pwrite64',
    threshold: '1ms',
    // The group is so small that a write must wait until pages are written back to the disk.
    script: `
group = f'${dir}/ftp-{os.getpid()}'
os.mkdir(group)
open(group + '/${limit}', 'w').write(str(24 << 20))
open(group + '/cgroup.procs', 'w').write(str(os.getpid()))
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
data = os.urandom(12 << 20)
for i in range(5 * RUNS): os.pwrite(fd, data, i % 4 * len(data))
reached = [int(line.split()[-1]) for line in open(group + '/${hits}') if line[0].isdigit() or line.startswith('max ')]
open('${dir}/cgroup.procs', 'w').write(str(os.getpid()))
os.rmdir(group)
assert reached[0] >= RUNS, reached
`,
    expected: (_root, below) => below.some(isOfDisk),
    atLeast: RUNS / 2,
  });
});

/** Seconds that tasks with this name were runnable but waited for a CPU, according to `perf sched timehist`. */
function waitedByPerf(file: string, comm: string): number {
  const text = execFileSync('perf', ['sched', 'timehist', '--state', '--input', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  });
  let wasRunnable = false;
  let ms = 0;
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (!fields[2]?.startsWith(`${comm}[`)) continue;
    // The columns are the time off the CPU, and the part of it after a wake-up.
    const [away, delay] = [Number(fields[3]), Number(fields[4])];
    ms += wasRunnable ? away : delay;
    wasRunnable = fields[6] === 'R';
  }
  return ms / 1e3;
}

it('the writer of a pipe waits for a CPU for as long as perf says', async (t) => {
  if (!existsSync('/usr/bin/perf')) {
    t.skip('needs perf: apt-get install linux-perf');
    return;
  }
  const file = join(bench.directory, 'perf.data');
  const one: PathCase = {
    what: 'the writer of a pipe waits for a CPU',
    syscall: 'read',
    script: READS_BEHIND_A_HOG,
    expected: (_root, below) => below.some((span) => isOf(span, 'runqueue wait', 'ftp-writer')),
    atLeast: RUNS,
  };
  const { trees } = await checkPathCase(bench, one, async (run) => {
    const perf = spawn('perf', ['sched', 'record', '--output', file], { stdio: 'ignore' });
    const started = performance.now();
    while (!existsSync(file) && performance.now() - started < 30_000)
      await new Promise((resolve) => setTimeout(resolve, 100));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    try {
      return await run();
    } finally {
      perf.kill('SIGINT');
      await once(perf, 'exit');
    }
  });
  const waits = trees.flatMap(({ below }) =>
    below.filter((span) => isOf(span, 'runqueue wait', 'ftp-writer')),
  );
  const byTraces = lasts(waits, () => true) / 1e9;
  const byPerf = waitedByPerf(file, 'ftp-writer');
  console.log(`by traces ${byTraces.toFixed(3)} s, by perf ${byPerf.toFixed(3)} s`);
  assert.ok(byPerf > 0.1, `perf has seen ${byPerf} s`);
  assert.ok(Math.abs(byTraces - byPerf) < 0.05 * byPerf, `${byTraces} s, by perf ${byPerf} s`);
});
