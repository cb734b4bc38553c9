/** Declares `ftrace_exporter_cpu_seconds_total`: CPU time of the agent by part. */
import type { MetricStore } from '../../metrics/store.ts';
import type { PhaseCpu } from '../contract/pulse.ts';

/** CPU time of the calling thread and of the process. */
export interface OwnCpu {
  threadSeconds: number;
  processSeconds: number;
}

function ownCpu(): OwnCpu {
  const seconds = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1e6;
  return { threadSeconds: seconds(process.threadCpuUsage()), processSeconds: seconds(process.cpuUsage()) };
}

/** The returned function takes the CPU times of the current capture thread. */
export function declareCpuSeconds(store: MetricStore, now = ownCpu): (capture: PhaseCpu) => void {
  const family = store.counter({
    name: 'ftrace_exporter_cpu_seconds_total',
    help: 'CPU time of the agent, by part: "read" (read pages from the kernel), "decode" (decode pages and count their events), "export" (main thread: scrapes, pushes, web page) and "other". The parts add up to process_cpu_seconds_total.',
    unit: 'seconds',
    labels: ['part'],
  });
  const [read, decode, exported, other] = ['read', 'decode', 'export', 'other'].map((part) =>
    family.slot([part]),
  );
  let last: PhaseCpu = { readSeconds: 0, decodeSeconds: 0 };
  return (capture) => {
    // A new capture thread counts from zero.
    const isNew = capture.readSeconds < last.readSeconds || capture.decodeSeconds < last.decodeSeconds;
    family.add(read, capture.readSeconds - (isNew ? 0 : last.readSeconds));
    family.add(decode, capture.decodeSeconds - (isNew ? 0 : last.decodeSeconds));
    last = { ...capture };
    const { threadSeconds, processSeconds } = now();
    family.set(exported, threadSeconds);
    const rest = processSeconds - threadSeconds - family.get(read) - family.get(decode);
    // During a drain, `rest` includes CPU time that the capture thread reports only afterwards. `rest` can therefore
    // decrease, but a counter must not.
    family.set(other, Math.max(family.get(other), rest));
  };
}
