/**
 * Traces of what tracers record, as `/api/v1/slow` returns them. Trees of calls must equal the kernel's own text of the
 * same calls in names, nesting and durations. Activations of timerlat must be there, with what delayed them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isOlder, LAB_TRACERS, mustOffer } from '../tracers.ts';
import { type GraphLine, graphDuration, graphLines } from './kernel-text.ts';
import { CPUS, KERNEL, type RunningAgent, startAgent, TRACEFS, until } from './lab.ts';
import { livesInInstance, type Recording, startRecording } from './recording.ts';
import { startTaskTree } from './task-tree.ts';

const tree = startTaskTree();
after(() => tree.end());
/** These functions call each other, and a small program calls them a few times: no more often than traces are kept. */
const FUNCTIONS = ['vfs_fstatat', 'vfs_statx', 'vfs_fstat', 'vfs_getattr', 'vfs_getattr_nosec'];
const there = new Set(
  readFileSync(join(TRACEFS, 'available_filter_functions'), 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[0]),
);
const functions = FUNCTIONS.filter((name) => there.has(name));
const timerlat = LAB_TRACERS.find(({ name }) => name === 'timerlat');
const hasTimerlat = timerlat !== undefined && mustOffer(timerlat, KERNEL);

const config = `
instance: lab-traces
probes:
  function_graph: { functions: ${JSON.stringify(functions)}, pids: [${tree.pid}] }
${hasTimerlat ? '  timerlat: { cpus: "0", period: 100ms }' : ''}
spans:
  max_traces_per_second: 1000
  kinds:
    function_graph: { threshold: 1us, min_child: 0s, max_spans: 1000 }
${hasTimerlat ? '    timerlat: { threshold: 1us }' : ''}
`;

interface Span {
  name: string;
  durationSeconds: number;
  attributes: Record<string, unknown>;
  children: Span[];
}

/** `name duration` and, in parentheses, the calls within. */
interface Call {
  name: string;
  duration: string;
  children: Call[];
}

/**
 * In newer kernels each user of the function graph takes the start time of a call itself, so two never have the same
 * duration.
 */
const haveTimesOfTheirOwn = !isOlder(KERNEL, '6.13');

function print({ name, duration, children }: Call): string {
  return `${name}${haveTimesOfTheirOwn ? '' : ` ${duration}`}${children.length === 0 ? '' : ` (${children.map(print).join(', ')})`}`;
}

function nsOf(seconds: number): number {
  return Math.round(seconds * 1e9);
}

function callOf({ attributes, durationSeconds, children }: Span): Call {
  return {
    name: String(attributes['code.function.name']),
    duration: graphDuration(nsOf(durationSeconds)),
    children: children.map(callOf),
  };
}

/** Trees from the text of all CPUs: lines of a task in the order of their time stamps, nested as they are indented. */
function treesOf(lines: readonly GraphLine[]): Call[] {
  const trees: Call[] = [];
  const stacks = new Map<number, Call[]>();
  for (const { kind, pid, depth, name, duration } of lines) {
    const stack = stacks.get(pid) ?? [];
    stacks.set(pid, stack);
    if (kind === 'return') {
      assert.equal(stack[depth]?.name, name);
      stack[depth].duration = duration;
    } else {
      const call = { name, duration, children: [] };
      stack[depth] = call;
      if (depth > 0) stack[depth - 1].children.push(call);
      else trees.push(call);
    }
  }
  return trees;
}

describe('traces of tracers', () => {
  let agent: RunningAgent;
  before(async () => {
    agent = await startAgent(config);
  });
  after(async () => {
    agent?.child.kill('SIGTERM');
    await agent?.ended;
  });
  const slow = async (kind: string): Promise<Span[]> => {
    const { status, body } = await agent.get(`/api/v1/slow?kind=${kind}&limit=100`);
    assert.equal(status, 200, body);
    return (JSON.parse(body) as { last: Span[] }).last;
  };

  it('the agent makes traces of all kinds', () => {
    assert.doesNotMatch(agent.stderr(), /traces of this kind are off/);
  });

  const skip = livesInInstance('function_graph') ? false : 'this kernel has it only at the top level';
  it("trees of calls equal the kernel's text of the same calls", { skip }, async () => {
    const witness = startRecording({
      tracer: 'function_graph',
      files: {
        set_ftrace_filter: functions.join(' '),
        set_ftrace_pid: String(tree.pid),
        'options/function-fork': '1',
      },
    });
    await tree.run('taskset -c 1 stat /etc/passwd');
    const recording = witness.stop();
    let theirs: string[] = [];
    try {
      theirs = treesOf(textOf(recording)).map(print);
    } finally {
      recording.end();
    }
    assert.ok(theirs.length >= 5 && theirs.length < 50, `${theirs.length} trees`);
    assert.ok(
      theirs.some((line) => line.includes('(')),
      'none calls another',
    );
    let missing: string[] = theirs;
    await until(async () => {
      const ours = (await slow('function_graph')).map((root) => print(callOf(root)));
      missing = theirs.filter((line) => {
        const at = ours.indexOf(line);
        if (at >= 0) ours.splice(at, 1);
        return at < 0;
      });
      return missing.length === 0;
    }, 'all trees of the text are among the traces').catch(() => {});
    assert.deepEqual(missing, []);
  });

  it('trees of calls are there, each call within its caller', async () => {
    await tree.run('stat /etc/passwd');
    let roots: Span[] = [];
    await until(async () => {
      roots = await slow('function_graph');
      return roots.some(({ children }) => children.length > 0);
    }, 'there is a tree of calls');
    for (const { name, attributes } of roots)
      assert.equal(name, `function ${attributes['code.function.name']}`);
  });

  const skipTimerlat = hasTimerlat ? false : `it came with ${timerlat?.since}`;
  it('activations of timerlat have both parts, and what held them up', { skip: skipTimerlat }, async () => {
    let roots: Span[] = [];
    await until(async () => {
      roots = await slow('timerlat');
      return roots.length > 20;
    }, 'there are activations');
    const parts = roots.flatMap(({ children }) => children);
    assert.ok(parts.length >= roots.length);
    for (const { durationSeconds, children } of roots) {
      if (children.length === 0) continue;
      assert.deepEqual(
        children.map(({ name }) => name),
        ['timerlat irq', 'timerlat thread'],
      );
      const [irq, thread] = children.map((child) => nsOf(child.durationSeconds));
      assert.equal(irq + thread, nsOf(durationSeconds));
    }
    const held = new Set(parts.flatMap(({ children }) => children.map(({ name }) => name)));
    // Above all the interrupt of its own timer.
    assert.ok(held.has('irq noise'), [...held].join(', '));
  });
});

function textOf(recording: Recording): GraphLine[] {
  for (const option of ['funcgraph-abstime', 'funcgraph-proc', 'funcgraph-tail']) recording.show(option);
  const lines = CPUS.flatMap((cpu) => graphLines(recording.text(cpu)));
  // Lines with the same time stamp stay in the order of their CPUs.
  return lines.sort((a, b) => a.micros - b.micros);
}
