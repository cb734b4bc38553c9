/**
 * Measures how the cost grows with the number of CPUs. Simulates a machine of that size: each CPU has a file with
 * sub-buffers in the kernel's layout, which the agent's own reader, merge and probes process. Each size runs in a process
 * of its own. Needs neither root nor tracefs.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../src/agent/main/compose-config.ts';
import { enabledProbes } from '../src/agent/plan/enabled-probes.ts';
import { planEvents } from '../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../src/agent/plan/self-metrics.ts';
import { Pipeline } from '../src/agent/stream/pipeline.ts';
import { createRenderer } from '../src/export/exposition/text.ts';
import { liveHostFacts } from '../src/host/facts.ts';
import { MetricStore } from '../src/metrics/store.ts';
import type { EventFormat } from '../src/model/format.ts';
import { openCapture } from '../src/tracedat/read.ts';
import { LAYOUT_4K, pageWriter } from '../test/support/pages.ts';
import { median, residentBytes } from './support.ts';

const SIZES = [1, 2, 64, 256, 512];
const RECORDING = fileURLToPath(new URL('../test/fixtures/captures/mixed.dat', import.meta.url));
/** Events of all CPUs together; the same for each size. */
const EVENTS = 4_000_000;
/** Calls of a syscall per turn of a task on a busy CPU. A quiet CPU has two turns without calls per tick: ten events. */
const CALLS = 20;
const PASSES = 5;
const TICKS = 200;
const TICKS_PER_SECOND = 4;
const PAGE = LAYOUT_4K.pageSize;

interface Figures {
  nsPerEvent: number;
  tickMs: number;
  renderMs: number;
  samples: number;
  bytes: number;
  residentMiB: number;
}

export function benchCpus(): void {
  console.log(`\nby number of CPUs: ${EVENTS} events in all, ${PASSES} passes, ${TICKS} quiet ticks`);
  console.log(
    'CPUs   ns/event   ms per quiet tick   % of a core   scrape: samples      KiB   render ms   resident MiB',
  );
  for (const size of SIZES) {
    const text = execFileSync(process.execPath, [fileURLToPath(import.meta.url), String(size)], {
      encoding: 'utf8',
    });
    const { nsPerEvent, tickMs, renderMs, samples, bytes, residentMiB } = JSON.parse(text) as Figures;
    const columns = [
      [String(size), 4],
      [nsPerEvent.toFixed(1), 10],
      [tickMs.toFixed(3), 19],
      [((tickMs * TICKS_PER_SECOND) / 10).toFixed(2), 13],
      [String(samples), 17],
      [(bytes / 1024).toFixed(0), 8],
      [renderMs.toFixed(1), 11],
      [residentMiB.toFixed(0), 14],
    ] as const;
    console.log(columns.map(([value, width]) => value.padStart(width)).join(' '));
  }
}

/** Appends events with these fields to a CPU's file, in full sub-buffers. */
function makeCpuFile(path: string, formats: ReadonlyMap<string, EventFormat>) {
  const fd = openSync(path, 'w+');
  let writer = pageWriter();
  let written = 0;
  const end = (): void => {
    writeSync(fd, writer.finish());
    writer = pageWriter();
  };
  return {
    fd,
    end,
    add: (name: string, ts: number, pid: number, fields: Record<string, number>): void => {
      const format = formats.get(name);
      if (format === undefined) throw new Error(`no probe reads ${name}`);
      const last = Math.max(...format.fields.map(({ offset, size }) => offset + size));
      const body = Buffer.alloc(((last + 3) & ~3) - 4);
      body.writeInt32LE(pid, 0);
      for (const [field, value] of Object.entries(fields)) {
        const column = format.fields.find((one) => one.name === field);
        if (column === undefined) throw new Error(`${name} has no field ${field}`);
        body.writeIntLE(value, column.offset - 4, Math.min(column.size, 6));
      }
      const event = { ts, type: format.id, body };
      if (!writer.add(event)) {
        end();
        writer.add(event);
      }
      written++;
    },
    written: () => written,
  };
}

/** Two tasks on this CPU take turns; each makes calls of a syscall. Returns the time of the last event. */
function turn(
  { add }: Pick<ReturnType<typeof makeCpuFile>, 'add'>,
  cpu: number,
  from: number,
  calls: number,
): number {
  const [first, second] = [1000 + 2 * cpu, 1001 + 2 * cpu];
  let ts = from;
  const after = (ns: number): number => {
    ts += ns;
    return ts;
  };
  for (const [task, next] of [
    [first, second],
    [second, first],
  ]) {
    for (let call = 0; call < calls; call++) {
      add('raw_syscalls:sys_enter', after(300), task, { id: call % 50 });
      add('raw_syscalls:sys_exit', after(700), task, { id: call % 50, ret: 0 });
    }
    add('sched:sched_wakeup', after(200), task, { pid: next, prio: 120, target_cpu: cpu });
    add('irq:softirq_raise', after(100), task, { vec: 1 });
    add('irq:softirq_entry', after(100), task, { vec: 1 });
    add('irq:softirq_exit', after(800), task, { vec: 1 });
    add('sched:sched_switch', after(500), task, {
      prev_pid: task,
      prev_state: 1,
      next_pid: next,
      next_prio: 120,
    });
  }
  return ts;
}

/** Writes the file of a CPU with about this many events. */
function fill(
  path: string,
  formats: ReadonlyMap<string, EventFormat>,
  cpu: number,
  events: number,
  calls: number,
) {
  const file = makeCpuFile(path, formats);
  // The CPUs are not in step.
  let ts = 1e9 + cpu * 17;
  while (file.written() < events) ts = turn(file, cpu, ts, calls);
  file.end();
  return { fd: file.fd, written: file.written() };
}

/** Runs the agent's pipeline on a machine of this many CPUs. */
function measure(size: number): Figures {
  const cpus = Array.from({ length: size }, (_, cpu) => cpu);
  const recording = openCapture(RECORDING);
  const metadata = { ...recording.metadata, cpuCount: size };
  const store = new MetricStore();
  const plan = planEvents({
    enabled: enabledProbes(loadAgentConfig({ env: {}, probes: [{ name: 'syscalls', on: true }] })),
    metadata,
    host: liveHostFacts({ machine: metadata.machine }),
    onlineCpus: cpus,
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
  });
  const formats = new Map(plan.types.map(({ event, format }) => [event, format]));
  recording.close();
  const dir = mkdtempSync('/dev/shm/ftrace-exporter-bench-');
  try {
    const busy = cpus.map((cpu) => fill(join(dir, `busy${cpu}`), formats, cpu, EVENTS / size, CALLS));
    const quiet = cpus.map((cpu) => fill(join(dir, `quiet${cpu}`), formats, cpu, 1, 0));
    const events = busy.reduce((total, { written }) => total + written, 0);
    let files = busy;
    const at = new Float64Array(size);
    const source = {
      cpus: () => cpus,
      readPage: (cpu: number, into: Uint8Array) => {
        const length = readSync(files[cpu].fd, into, 0, PAGE, at[cpu]);
        at[cpu] += length;
        return length;
      },
    };
    const pipeline = new Pipeline({ source, layout: LAYOUT_4K, plan, onError: (_cpu, error) => fail(error) });
    const pass = (): number => {
      at.fill(0);
      const before = process.cpuUsage();
      pipeline.flush();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    };
    const passes = Array.from({ length: PASSES }, pass);
    files = quiet;
    const ticks = Array.from({ length: TICKS }, pass);
    const renderer = createRenderer();
    const renders = Array.from({ length: PASSES }, () => {
      const startedAt = performance.now();
      const body = renderer.render([store.snapshot()], 'text');
      return { ms: performance.now() - startedAt, body };
    });
    const body = renders[0].body.toString();
    return {
      nsPerEvent: (Math.min(...passes) * 1e6) / events,
      tickMs: ticks.reduce((sum, ms) => sum + ms, 0) / TICKS,
      renderMs: median(renders.map(({ ms }) => ms)),
      samples: body.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length,
      bytes: body.length,
      residentMiB: residentBytes(process.pid) / 2 ** 20,
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function fail(error: string): never {
  throw new Error(`a page could not be read: ${error}`);
}

if (import.meta.main) console.log(JSON.stringify(measure(Number(process.argv[2]))));
