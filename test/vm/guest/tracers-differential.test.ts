/**
 * Differential test without the agent: the kernel's own text of one stopped recording and our decoding of its raw pages
 * must agree, event by event: count, CPU, task, time to the printed microsecond, and all that is printed after it.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { controlFiles, differences } from './control-files.ts';
import { readSymbols, type Symbols } from './kallsyms.ts';
import { graphDuration, graphLines, lineOf, microsOf } from './kernel-text.ts';
import { CPUS, getppids, skipTracer, TRACEFS } from './lab.ts';
import { PRINTED, printerOf } from './printed.ts';
import { type RawEvent, readRawEvents } from './raw-events.ts';
import { type Recording, record } from './recording.ts';
import { askHost, diskIo, getppidFunction, idle } from './workloads.ts';

const NOISE_EVENTS = ['irq_noise', 'softirq_noise', 'thread_noise', 'nmi_noise', 'sample_threshold'].map(
  (name) => `osnoise:${name}`,
);

/** What is recorded with each tracer: few events on few CPUs, because emulation is slow, but every kind of record. */
const TRACERS: Readonly<
  Record<string, Omit<Parameters<typeof record>[0], 'tracer'> & { work(): void; least: number }>
> = {
  function: {
    // Also functions of modules, and one that calls itself.
    files: { set_ftrace_filter: `${getppidFunction()} vfs_* virtio_queue_rq p9pdu_*` },
    work: mixedCalls,
    least: 500,
  },
  timerlat: {
    top: { 'osnoise/cpus': '0-1', 'osnoise/timerlat_period_us': '5000' },
    events: NOISE_EVENTS,
    work: () => idle(1500),
    least: 200,
  },
  osnoise: {
    // The kernel refuses a period shorter than the runtime, at every step. The threshold: under emulation every look at
    // the clock counts as noise.
    top: {
      'osnoise/cpus': '0',
      'osnoise/runtime_us': '20000',
      'osnoise/period_us': '100000',
      tracing_thresh: '50',
    },
    events: NOISE_EVENTS,
    work: () => idle(1500),
    least: 20,
  },
  hwlat: {
    // The kernel changes the mode by itself when it finds that its thread was moved.
    top: {
      'hwlat_detector/mode': 'round-robin',
      'hwlat_detector/width': '100000',
      'hwlat_detector/window': '200000',
      tracing_thresh: '1',
    },
    work: () => idle(2500),
    least: 3,
  },
};

function mixedCalls(): void {
  getppids(0, 200);
  askHost(50);
  diskIo(10);
}

describe('raw pages and text of a tracer', () => {
  const symbols = readSymbols();
  const files = controlFiles();
  for (const [tracer, { work, least, ...request }] of Object.entries(TRACERS)) {
    if (skipTracer(tracer)) continue;
    describe(tracer, () => sameRecording(() => record({ tracer, ...request }, work), least, symbols));
  }
  if (!skipTracer('function_graph')) describe('function_graph', () => sameCalls(symbols));
  it('were had without a trace', () => assert.deepEqual(differences(files, controlFiles()), []));
});

function sameRecording(make: () => Recording, least: number, symbols: Symbols): void {
  let recording: Recording | undefined;
  const text = new Map<number, string[]>();
  let raw = new Map<number, RawEvent[]>();
  before(() => {
    recording = make();
    for (const cpu of CPUS) text.set(cpu, recording.text(cpu));
    const needs = Object.entries(PRINTED).filter(([event]) =>
      existsSync(join(TRACEFS, 'events', event.replace(':', '/'), 'format')),
    );
    raw = readRawEvents(recording.dir, Object.fromEntries(needs));
  });
  after(() => recording?.end());

  it('say the same, event by event', (t) => {
    const textOf = (event: RawEvent) =>
      `${event.cpu} ${event.pid} ${microsOf(event.timestampNs)} ${printerOf(event)(event, symbols)}`;
    const printed = (line: string) => {
      const { cpu, pid, micros, body } = lineOf(line);
      return `${cpu} ${pid} ${micros} ${body.trim().replaceAll(/ +/g, ' ')}`;
    };
    const compared = sameLists(text, printed, raw, textOf);
    assert.ok(compared >= least, `only ${compared} events`);
    t.diagnostic(`${compared} events`);
  });
  it('are as many as the kernel counts', () => sameAsCounted(recording, raw));
}

/** function_graph prints a call and its return as one line if nothing lies between them. */
function sameCalls(symbols: Symbols): void {
  let recording: Recording | undefined;
  const text = new Map<number, ReturnType<typeof graphLines>>();
  let raw = new Map<number, RawEvent[]>();
  before(() => {
    const set_ftrace_filter = `${getppidFunction()} vfs_* ksys_read virtio_queue_rq p9pdu_*`;
    recording = record({ tracer: 'function_graph', files: { set_ftrace_filter } }, mixedCalls);
    for (const option of ['funcgraph-abstime', 'funcgraph-proc', 'funcgraph-tail']) recording.show(option);
    for (const cpu of CPUS) text.set(cpu, graphLines(recording.text(cpu)));
    raw = readRawEvents(recording.dir, {
      'ftrace:funcgraph_entry': { ints: ['depth'], exact: ['func'] },
      'ftrace:funcgraph_exit': { ints: ['depth', 'calltime', 'rettime'], exact: ['func'] },
    });
  });
  after(() => recording?.end());

  it('say the same, call by call', (t) => {
    const lines = new Map([...raw].map(([cpu, events]) => [cpu, asGraphLines(events, symbols)]));
    const textOf = (line: object) => Object.values(line).join(' ');
    const order = ({
      kind,
      cpu,
      pid,
      micros,
      depth,
      name,
      duration,
    }: ReturnType<typeof graphLines>[number]) => textOf({ kind, cpu, pid, micros, depth, name, duration });
    const compared = sameLists(text, order, lines, order);
    assert.ok(compared > 500, `only ${compared} lines`);
    t.diagnostic(`${compared} lines`);
  });
  it('have calls within calls, some of a function within itself', () => {
    const all = [...text.values()].flat();
    assert.ok(all.some(({ kind, depth }) => kind === 'call' && depth >= 1));
    assert.ok(CPUS.some((cpu) => hasReentered(text.get(cpu) ?? [])));
  });
  it('are as many as the kernel counts', () => sameAsCounted(recording, raw));
}

/** As print_graph_entry() and get_return_for_leaf() see a CPU's records. */
function asGraphLines(events: readonly RawEvent[], symbols: Symbols): ReturnType<typeof graphLines> {
  const lines: ReturnType<typeof graphLines> = [];
  for (let i = 0; i < events.length; i++) {
    const event = events[i];
    const { cpu, pid, timestampNs, ints, exact } = event;
    const common = { cpu, pid, micros: Math.floor(timestampNs / 1000), depth: ints.depth };
    const name = symbols.nameOf(exact.func, { module: true });
    if (event.name === 'funcgraph_exit') {
      const duration = graphDuration(ints.rettime - ints.calltime);
      lines.push({ kind: 'return', ...common, name, duration });
      continue;
    }
    const next = events[i + 1];
    const leaf = next?.name === 'funcgraph_exit' && next.pid === pid && next.exact.func === exact.func;
    const duration = leaf ? graphDuration(next.ints.rettime - next.ints.calltime) : '';
    lines.push({ kind: leaf ? 'leaf' : 'call', ...common, name, duration });
    if (leaf) i++;
  }
  return lines;
}

function hasReentered(lines: ReturnType<typeof graphLines>): boolean {
  const open = new Map<number, string[]>();
  for (const { kind, pid, depth, name } of lines) {
    const stack = open.get(pid) ?? [];
    open.set(pid, stack);
    stack.length = Math.min(stack.length, depth);
    if (kind !== 'return' && stack.includes(name)) return true;
    if (kind === 'call') stack[depth] = name;
  }
  return false;
}

/**
 * Compares CPU by CPU, in order, and shows the first difference with what came before it. Returns the number of events.
 */
function sameLists<A, B>(
  expected: ReadonlyMap<number, readonly A[]>,
  ofExpected: (item: A) => string,
  actual: ReadonlyMap<number, readonly B[]>,
  ofActual: (item: B) => string,
): number {
  let compared = 0;
  for (const cpu of CPUS) {
    const fromText = (expected.get(cpu) ?? []).map(ofExpected);
    const fromPages = (actual.get(cpu) ?? []).map(ofActual);
    const at = fromText.findIndex((item, i) => item !== fromPages[i]);
    const around = (list: string[]) => list.slice(Math.max(0, at - 2), at + 2).join('\n');
    assert.equal(at, -1, `CPU ${cpu}, event ${at}: text\n${around(fromText)}\nraw\n${around(fromPages)}`);
    assert.equal(fromPages.length, fromText.length, `CPU ${cpu}: more in the raw pages than in the text`);
    compared += fromText.length;
  }
  return compared;
}

function sameAsCounted(recording: Recording | undefined, raw: ReadonlyMap<number, RawEvent[]>): void {
  assert.ok(recording);
  for (const cpu of CPUS) {
    const { readEvents, entries, overrun, droppedEvents } = recording.stats(cpu);
    assert.deepEqual([readEvents, entries, overrun, droppedEvents], [raw.get(cpu)?.length ?? 0, 0, 0, 0]);
  }
}
