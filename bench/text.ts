/**
 * Compares the text reader with `cat trace_pipe >/dev/null`, which only costs the kernel's formatting and a copy. Fills
 * an instance with the same events for each, stops recording, and lets the two read in turns. Needs root, tracefs and
 * gcc.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { makeOwnThreads } from '../src/agent/live/own-threads.ts';
import { loadAgentConfig } from '../src/agent/main/compose-config.ts';
import { enabledProbes } from '../src/agent/plan/enabled-probes.ts';
import { planEvents } from '../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../src/agent/plan/self-metrics.ts';
import { makeTextPipeline } from '../src/agent/stream/text-pipeline.ts';
import { makeFunctionInterner } from '../src/decode/text/function-interner.ts';
import { onlineCpus } from '../src/host/cpus.ts';
import { liveHostFacts } from '../src/host/facts.ts';
import { MetricStore } from '../src/metrics/store.ts';
import { createInstance } from '../src/tracefs/instance.ts';
import { findTracefs } from '../src/tracefs/mount.ts';
import { openTracePipe } from '../src/tracefs/trace-pipe.ts';
import { median, workload } from './support.ts';

const ROUNDS = 9;
const CALLS = 150_000;
const BUFFER_BYTES = 96 * 2 ** 20;

interface Cost {
  events: number;
  cpuSeconds: number;
}

export function benchText(): void {
  const instance = createInstance(findTracefs({ mayMount: true }), `ftrace-exporter-bench-${process.pid}`);
  Error.stackTraceLimit = 0;
  try {
    const config = loadAgentConfig({ env: {}, probes: [{ name: 'syscalls', on: true }] });
    const store = new MetricStore();
    const metadata = instance.metadata();
    const plan = planEvents({
      enabled: enabledProbes(config),
      metadata,
      host: liveHostFacts({ machine: metadata.machine }),
      onlineCpus: onlineCpus(),
      store,
      self: makeSelfMetrics(store),
      isSelf: makeOwnThreads().has,
    });
    instance.prepare({ bufferBytesPerCpu: BUFFER_BYTES, subbufferBytes: 65_536, clock: 'mono' });
    instance.enable(plan.events);
    const program = workload('getppid');
    const pipe = join(instance.dir, 'trace_pipe');
    const readSoFar = () => {
      let events = 0;
      for (const cpu of onlineCpus()) events += instance.stats(cpu).readEvents;
      return events;
    };
    const fill = () => {
      instance.start();
      execFileSync('taskset', ['-c', '0', program, String(CALLS)]);
      instance.stop();
    };

    const byCat = (): Cost => {
      const before = readSoFar();
      const script = `TIMEFORMAT='%3U %3S'; time cat ${pipe} >/dev/null`;
      const times = execFileSync('bash', ['-c', `{ ${script}; } 2>&1`])
        .toString()
        .trim()
        .split(' ')
        .map(Number);
      return { events: readSoFar() - before, cpuSeconds: times[0] + times[1] };
    };

    let source = openTracePipe(instance.dir);
    const pipeline = makeTextPipeline({
      source: { readText: (into) => source.readText(into) },
      plan,
      functions: makeFunctionInterner(),
      cpuCount: metadata.cpuCount,
      isGraph: false,
      now: () => Number.MAX_SAFE_INTEGER,
      losses: (visit) => {
        for (const cpu of onlineCpus()) {
          const { overrun, commitOverrun, droppedEvents } = instance.stats(cpu);
          visit(cpu, overrun + commitOverrun + droppedEvents);
        }
      },
      onError: (_cpu, error) => {
        throw new Error(error);
      },
    });
    source.close();
    const decoded = () => onlineCpus().reduce((sum, cpu) => sum + pipeline.events(cpu), 0);
    const byUs = (): Cost => {
      source = openTracePipe(instance.dir);
      const before = decoded();
      const start = process.cpuUsage();
      pipeline.flush();
      const { user, system } = process.cpuUsage(start);
      source.close();
      return { events: decoded() - before, cpuSeconds: (user + system) / 1e6 };
    };

    const ratios: number[] = [];
    const perEvent: { cat: number[]; us: number[] } = { cat: [], us: [] };
    let events = 0;
    for (let round = 0; round <= ROUNDS; round++) {
      fill();
      const cat = byCat();
      fill();
      const us = byUs();
      // The first round does not count, because V8 compiles the code in it.
      if (round === 0) continue;
      events += us.events;
      perEvent.cat.push((cat.cpuSeconds * 1e9) / cat.events);
      perEvent.us.push((us.cpuSeconds * 1e9) / us.events);
      ratios.push(perEvent.us[round - 1] / perEvent.cat[round - 1]);
    }
    console.log(
      `\ntext reader against cat trace_pipe, syscalls and default probes, ${ROUNDS} rounds of ${Math.round(events / ROUNDS)} events`,
    );
    console.log(
      `CPU (user and system), ns per event: cat ${median(perEvent.cat).toFixed(0)}, text reader ${median(perEvent.us).toFixed(0)}`,
    );
    console.log(
      `ratio: median ${median(ratios).toFixed(2)}, of ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}`,
    );
  } finally {
    instance.remove();
  }
}

if (import.meta.main) benchText();
