/**
 * Traces must name the process, program, container and pod of a slow operation. The test runs processes in control
 * groups that it names as container runtimes do. In its own pid namespace, the agent names none of them and says why.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAgentConfig } from '../../src/agent/main/compose-config.ts';
import { type Agent, startAgent } from '../../src/agent/main/supervise.ts';
import type { Log } from '../../src/model/log.ts';
import type { TraceRecord } from '../../src/model/span.ts';
import { makeBench } from '../support/agent.ts';

const bench = makeBench('facts');
const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
/** Ids of this run, because another run on the machine may make control groups at the same time. */
const ID = randomBytes(32).toString('hex');
const UID = randomUUID();
const SPANS = { kinds: { syscalls: { threshold: '1us', include: ['fsync'] } } };
/**
 * Enters a control group, calls fsync once from a second thread, prints its pid and the thread's id, and waits until it
 * is killed, so that the agent can look up its container.
 */
const PROGRAM = `
import os, sys, threading
if sys.argv[2]:
    with open(sys.argv[2] + '/cgroup.procs', 'w') as procs: procs.write(str(os.getpid()))
def work():
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
    os.write(fd, b'x')
    os.fsync(fd)
    print(os.getpid(), threading.get_native_id(), flush=True)
    sys.stdin.read()
other = threading.Thread(target=work)
other.start()
other.join()
`;

/**
 * Enters a control group, prints its pid and calls fsync for half a second. The process ends right after the last call,
 * so when the agent decodes this call, /proc has nothing about it any more.
 */
const SHORT_PROGRAM = `
import os, sys, time
with open(sys.argv[2] + '/cgroup.procs', 'w') as procs: procs.write(str(os.getpid()))
print(os.getpid(), flush=True)
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for _ in range(20):
    os.write(fd, b'x')
    os.fsync(fd)
    time.sleep(0.025)
os.write(fd, b'x')
os.fsync(fd)
os._exit(0)
`;
const SHORT_CALLS = 21;
/** Far more than the agent needs, because a busy machine may be slow. */
const LONGEST_MS = 60_000;

/** Mounted hierarchies of versions 1 and 2. */
const HIERARCHIES = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'].filter((root) =>
  existsSync(join(root, 'cgroup.procs')),
);

describe('what a trace says of its task', () => {
  let agent: Agent;
  let traces: TraceRecord[] = [];

  before(async () => {
    const path = join(bench.directory, 'agent.yaml');
    const config = {
      instance: bench.instanceName('a'),
      state_dir: bench.directory,
      spans: { ...SPANS, max_traces_per_second: 10_000, containers: true },
    };
    writeFileSync(path, JSON.stringify(config));
    agent = await startAgent(loadAgentConfig({ file: path, env: {} }), {
      log,
      version: '0',
      onTraces: (some) => traces.push(...some),
    });
  });
  after(async () => {
    await agent?.stop();
  });

  /** Runs the program in a control group and returns the trace of its fsync. Ignores those of other programs. */
  const traceIn = async (group: string): Promise<{ trace: TraceRecord; pid: number }> => {
    traces = [];
    const child = spawn('python3', ['-c', PROGRAM, join(bench.directory, 'file'), group], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    try {
      const [line] = await once(createInterface({ input: child.stdout }), 'line');
      const [pid, tid] = String(line).split(' ').map(Number);
      const ours = () => traces.filter(({ spans }) => spans[0].attributes['ftrace.thread.id'] === tid);
      for (const deadline = performance.now() + 20_000; ours().length === 0; await sleep(50))
        assert.ok(performance.now() < deadline, `no trace of thread ${tid} among ${traces.length}`);
      assert.equal(ours().length, 1);
      return { trace: ours()[0], pid };
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  };

  it('status says that traces name processes and containers', async () => {
    assert.deepEqual((await agent.status()).tasks, { processes: true, containers: true, reason: '' });
  });

  it('names process and program, for a thread too', async () => {
    const { trace, pid } = await traceIn('');
    const { attributes } = trace.spans[0];
    assert.equal(attributes['process.pid'], pid);
    assert.notEqual(attributes['ftrace.thread.id'], pid);
    assert.match(String(attributes['process.executable.name']), /^python3/);
  });

  assert.ok(HIERARCHIES.length > 0, 'this machine has no control groups');
  it('names program and container of a process that ended within a second, for its last call too', async () => {
    const [root] = HIERARCHIES;
    const path = `/system.slice/docker-${ID}.scope`;
    const remove = makeGroup(root, path);
    const file = join(bench.directory, 'short');
    /** Runs the program once. Returns what the traces of its calls say. */
    const factsOfCalls = async () => {
      traces = [];
      const child = spawn('python3', ['-c', SHORT_PROGRAM, file, join(root, path)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      const [line] = await once(createInterface({ input: child.stdout }), 'line');
      await ended;
      const ours = () =>
        traces.filter(({ spans }) => spans[0].attributes['ftrace.thread.id'] === Number(line));
      for (const end = performance.now() + 5000; ours().length < SHORT_CALLS; await sleep(50))
        if (performance.now() > end) break;
      return ours().map(({ spans, resource }) => [
        String(spans[0].attributes['process.executable.name']).slice(0, 7),
        resource['container.id'],
      ]);
    };
    try {
      // A busy agent may read the first call only after the process has ended. Then it cannot know the process.
      for (const end = performance.now() + LONGEST_MS; ; ) {
        const facts = await factsOfCalls();
        const named = facts.filter(([name, id]) => name === 'python3' && id === ID);
        if (named.length === SHORT_CALLS) break;
        assert.ok(performance.now() < end, JSON.stringify(facts));
      }
    } finally {
      remove();
    }
  });

  for (const root of HIERARCHIES) {
    for (const [what, path, resource] of [
      ['a pod', `/kubepods/burstable/pod${UID}/${ID}`, { 'container.id': ID, 'k8s.pod.uid': UID }],
      [
        'a pod of systemd',
        `/kubepods.slice/kubepods-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`,
        { 'container.id': ID, 'k8s.pod.uid': UID },
      ],
      ['Docker', `/system.slice/docker-${ID}.scope`, { 'container.id': ID }],
      ['nothing of the kind', `/ftx-facts-${process.pid}`, {}],
    ] as const) {
      it(`names container and pod of a process in the control group of ${what} in ${root}`, async () => {
        const remove = makeGroup(root, path);
        try {
          const { trace } = await traceIn(join(root, path));
          assert.deepEqual(trace.resource, resource);
        } finally {
          remove();
        }
      });
    }
  }
});

describe('an agent in a pid namespace of its own', () => {
  it('says why its traces name no processes', async () => {
    const wrapper = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
    const nested = await bench.start(
      { state_dir: bench.directory, spans: { ...SPANS, containers: true } },
      { wrapper },
    );
    const status = (await (await fetch(`${nested.url}/api/v1/status`)).json()) as {
      capture: { tasks: { processes: boolean; containers: boolean; reason: string } };
    };
    const { processes, containers, reason } = status.capture.tasks;
    assert.deepEqual([processes, containers], [false, false]);
    assert.match(reason, /its own pid namespace/);
    assert.match(nested.stderr(), /level=warn.*cannot identify containers of traced processes.*hostPID/);
    const config = join(bench.directory, `${nested.instance}.yaml`);
    const [program, ...args] = [...wrapper, process.execPath, 'bin/ftrace-exporter.js'];
    const { stdout } = spawnSync(program, [...args, 'doctor', '--config.file', config], {
      encoding: 'utf8',
      cwd: new URL('../../', import.meta.url),
    });
    assert.match(stdout, /^containers in traces +no: the agent runs in its own pid namespace/m);
  });
});

/** Makes the missing groups of a path. Returns a function that removes them. */
function makeGroup(root: string, path: string): () => void {
  const made: string[] = [];
  let at = root;
  for (const part of path.split('/').slice(1)) {
    at = join(at, part);
    if (existsSync(at)) continue;
    mkdirSync(at);
    made.unshift(at);
  }
  return () => {
    for (const dir of made) {
      try {
        rmdirSync(dir);
      } catch (error) {
        // A parent is busy if another run has groups in it.
        if (dir.includes(ID) || (error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      }
    }
  };
}
