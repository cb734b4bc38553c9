/**
 * Programs report their own spans on the running kernel. Slow operations of the thread during such a span, and no
 * others, must become part of the program's trace, with either reader. The programs are from examples/trace-context.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../../src/agent/main/compose-config.ts';
import { type Agent, startAgent } from '../../src/agent/main/supervise.ts';
import type { Log } from '../../src/model/log.ts';
import type { TraceRecord } from '../../src/model/span.ts';
import { makeBench, needTool, TRACEFS } from '../support/agent.ts';
import { topLevelTurn } from '../support/top-level.ts';

const bench = makeBench('context');
const EXAMPLES = fileURLToPath(new URL('../../examples/trace-context/', import.meta.url));
const TOP = join(TRACEFS, 'trace_marker');
const COPIES = existsSync(join(TRACEFS, 'options/copy_trace_marker'));
const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const file = join(bench.directory, 'saved');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
/** Set if other tests use the top level: they would see markers written there, or make the kernel refuse them. */
const busy = COPIES ? await topLevelTurn() : undefined;
let spanNumber = 0;
const nextSpan = () => (0xabc000 + spanNumber++).toString(16).padStart(16, '0');

/**
 * Executes its arguments in order: `save` calls fsync, `thread` calls it in another thread, and anything else is a
 * marker to write. Prints the id of the thread of each fsync.
 */
const SCRIPT = `
import os, sys, threading
marker = os.open(sys.argv[1], os.O_WRONLY)
fd = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
def save():
    print(threading.get_native_id())
    os.write(fd, b'x')
    os.fsync(fd)
for step in sys.argv[3:]:
    if step == 'save': save()
    elif step == 'thread':
        other = threading.Thread(target=save)
        other.start()
        other.join()
    else: os.write(marker, step.encode())
`;

for (const reader of ['raw', 'trace_pipe'] as const) {
  describe(`traces of applications, reader ${reader}`, () => {
    let agent: Agent;
    let traces: TraceRecord[] = [];
    const instance = bench.instanceName(reader === 'raw' ? 'r' : 't');
    const own = join(TRACEFS, 'instances', instance, 'trace_marker');

    before(async () => {
      needTool('cc', 'gcc');
      needTool('python3', 'python3');
      const config = {
        instance,
        reader,
        state_dir: bench.directory,
        spans: { max_traces_per_second: 1000, kinds: { syscalls: { threshold: '1us', include: ['fsync'] } } },
      };
      const path = join(bench.directory, `${instance}.yaml`);
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

    /**
     * Waits for this many traces of fsyncs by the threads whose ids `work` returns, and then for surplus ones. Sorts
     * them by start. Ignores traces of other programs.
     */
    const tracesOf = async (fsyncs: number, work: () => Promise<number[]>): Promise<TraceRecord[]> => {
      traces = [];
      const threads = await work();
      const ours = () =>
        traces.filter(({ spans }) => threads.includes(Number(spans[0].attributes['ftrace.thread.id'])));
      await until(() => ours().length >= fsyncs);
      // The agent makes traces once a second, so a surplus trace would appear in this time.
      await sleep(1100);
      const startNs = ({ spans }: TraceRecord) => (spans[0].start[0] % 1e6) * 1e9 + spans[0].start[1];
      return ours().sort((a, b) => startNs(a) - startNs(b));
    };
    const script = async (...steps: string[]) => {
      const marker = COPIES && busy === undefined ? TOP : own;
      const { printed } = await run(['python3', '-c', SCRIPT, marker, file, ...steps]);
      return printed.split('\n').map(Number);
    };
    const parents = (some: readonly TraceRecord[]) =>
      some.map(({ traceId, spans }) => (traceId === TRACE ? spans[0].parentSpanId : 'root'));

    it('says which files it reads', async () => {
      const { markers } = await agent.status();
      assert.deepEqual(markers?.files, COPIES ? [own, TOP] : [own]);
    });

    for (const [language, command, where] of examples()) {
      it(`the example in ${language} has the kernel's spans in its trace`, async (t) => {
        if (where === 'top' && !COPIES) return t.skip('this kernel does not copy the top level’s markers');
        if (where === 'top' && busy !== undefined) return t.skip(busy);
        const spanId = nextSpan();
        const env = {
          ...process.env,
          TRACEPARENT: `00-${TRACE}-${spanId}-01`,
          ...(where === 'own' ? { TRACE_MARKER: own } : {}),
        };
        const traces = await tracesOf(1, async () => {
          const { printed, pid } = await run([...command, file], env);
          assert.equal(printed.trim(), env.TRACEPARENT);
          return [pid];
        });
        assert.deepEqual(parents(traces), [spanId]);
        assert.equal(traces[0].spans[0].name, 'syscall fsync');
      });
    }

    it('only what the thread itself does between begin and end is part of it', async () => {
      const spanId = nextSpan();
      const value = `traceparent=00-${TRACE}-${spanId}-01`;
      const traces = await tracesOf(5, () =>
        script('save', `${value} begin`, 'save', 'thread', 'save', `${value} end`, 'save'),
      );
      assert.deepEqual(parents(traces), ['root', spanId, 'root', spanId, 'root']);
    });

    it('spans nest, and one that is not sampled is no parent', async () => {
      const [outer, inner, unsampled] = [nextSpan(), nextSpan(), nextSpan()];
      const value = (spanId: string, flags = '01') => `traceparent=00-${TRACE}-${spanId}-${flags}`;
      const traces = await tracesOf(3, () =>
        script(
          `${value(outer)} begin`,
          `${value(inner)} begin`,
          'save',
          `${value(inner)} end`,
          'save',
          `${value(unsampled, '00')} begin`,
          'save',
          `${value(unsampled, '00')} end`,
          `${value(outer)} end`,
        ),
      );
      assert.deepEqual(parents(traces), [inner, outer, 'root']);
    });

    it('hostile markers are counted, and change nothing', async () => {
      const before = await outcomes(agent);
      const spanId = nextSpan();
      const value = `traceparent=00-${TRACE}-${spanId}-01`;
      const floods = Array.from({ length: 2500 }, () => `${value} end`);
      const traces = await tracesOf(1, () =>
        script(
          'traceparent=nonsense begin',
          `traceparent=00-${'0'.repeat(32)}-${spanId}-01 begin`,
          `${value} begin\nevil-1 [000] ..... 1.000000: tracing_mark_write: ${value} begin`,
          `${value} end`,
          'save',
          'hello',
        ),
      );
      assert.deepEqual(parents(traces), ['root']);
      const counts = diff(before, await outcomes(agent));
      assert.deepEqual({ ...counts, malformed: undefined }, { unpaired: 1, malformed: undefined });
      assert.ok(counts.malformed >= 2, `${counts.malformed} malformed`);

      const flooded = await outcomes(agent);
      for (let i = 0; i < 3; i++) await script(...floods);
      const counted = async () => {
        const { unpaired = 0, over_limit: overLimit = 0 } = diff(flooded, await outcomes(agent));
        return unpaired + overLimit;
      };
      await until(async () => (await counted()) >= 3 * floods.length);
      await sleep(200);
      assert.equal(await counted(), 3 * floods.length);
    });
  });
}

describe('markers of other programs', { skip: COPIES ? busy : 'this kernel does not copy markers' }, () => {
  const start = (name: string) => {
    const path = join(bench.directory, `${name}.yaml`);
    const spans = { kinds: { syscalls: { threshold: '1s', include: ['fsync'] } } };
    writeFileSync(path, JSON.stringify({ instance: name, state_dir: bench.directory, spans }));
    return startAgent(loadAgentConfig({ file: path, env: {} }), { log, version: '0' });
  };

  const isKept = COPIES && readFileSync(join(TRACEFS, 'options/copy_trace_marker'), 'utf8').trim() === '1';
  const refusesAll =
    'the kernel refuses markers without an agent: somebody has set copy_trace_marker of the top level to 0';
  it('are never refused while an agent starts, records and stops', {
    skip: isKept ? false : refusesAll,
  }, async () => {
    const marker = openSync(TOP, constants.O_WRONLY);
    const names = [1, 2, 3].map(() => bench.instanceName('m'));
    const outcomes: string[] = [];
    const timer = setInterval(() => {
      let isOthers = othersCopy(names);
      try {
        writeSync(marker, 'not for the agent');
        outcomes.push('written');
      } catch (error) {
        isOthers ||= othersCopy(names);
        if (!isOthers) outcomes.push(String(error));
      }
    }, 1);
    try {
      for (const name of names) await (await start(name)).stop();
    } finally {
      clearInterval(timer);
      closeSync(marker);
    }
    assert.ok(outcomes.length > 10, `${outcomes.length} markers`);
    assert.deepEqual([...new Set(outcomes)], ['written']);
  });

  it('are reported as refused if another instance copies them and does not record', async () => {
    const guilty = join(TRACEFS, 'instances', bench.instanceName('guilty'));
    mkdirSync(guilty);
    writeFileSync(join(guilty, 'options/copy_trace_marker'), '1');
    writeFileSync(join(guilty, 'tracing_on'), '0');
    try {
      const agent = await start(bench.instanceName('m'));
      const { warnings } = await agent.status();
      await agent.stop();
      const warning = warnings.find((one) => one.includes(guilty));
      assert.match(
        String(warning),
        /programs cannot write markers into .*: .* copies them, but its recording is off/,
      );
    } finally {
      rmdirSync(guilty);
    }
  });
});

/**
 * Whether another program's instance copies markers. While such an instance does not record, the kernel refuses every
 * marker, whatever our agent does.
 */
function othersCopy(ours: readonly string[]): boolean {
  const all = readdirSync(join(TRACEFS, 'instances')).filter((name) => !ours.includes(name));
  return all.some((name) => {
    try {
      const option = join(TRACEFS, 'instances', name, 'options/copy_trace_marker');
      return readFileSync(option, 'utf8').trim() === '1';
    } catch {
      // The instance was removed meanwhile.
      return false;
    }
  });
}

/** Runs a program. Returns its pid and its output. */
async function run(command: readonly string[], env = process.env): Promise<{ pid: number; printed: string }> {
  const child = spawn(command[0], command.slice(1), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  const [status] = await once(child, 'close');
  assert.equal(status, 0, command.join(' '));
  return { pid: child.pid ?? 0, printed };
}

/** Waits until it is done or its time is up; the test then reports what is missing. */
async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 20_000; performance.now() < deadline; await sleep(50))
    if (await done()) return;
}

function examples(): [language: string, command: string[], where: 'top' | 'own'][] {
  const program = join(bench.directory, 'trace_context');
  if (!existsSync(program))
    execFileSync('cc', ['-O2', '-Wall', '-Werror', '-o', program, join(EXAMPLES, 'c/trace_context.c')]);
  const python = ['python3', join(EXAMPLES, 'python/trace_context.py')];
  const node = [process.execPath, join(EXAMPLES, 'node/trace-context.mjs')];
  return [
    ['C', [program], 'top'],
    ['Python', python, 'top'],
    ['Node', node, 'top'],
    ['C, into the instance,', [program], 'own'],
    ['Python, into the instance,', python, 'own'],
    ['Node, into the instance,', node, 'own'],
  ];
}

async function outcomes(agent: Agent): Promise<Map<string, number>> {
  const families = (await agent.scrape()).flatMap((snapshot) => snapshot.families);
  const markers = families.find(({ spec }) => spec.name === 'ftrace_exporter_markers_total');
  assert.ok(markers, 'markers are counted');
  return new Map(markers.labelValues.map((outcome, i) => [outcome, markers.values[i]]));
}

function diff(before: Map<string, number>, after: Map<string, number>): Record<string, number> {
  const grown = [...after].map(([outcome, n]) => [outcome, n - (before.get(outcome) ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, n]) => n > 0));
}
