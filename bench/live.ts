/**
 * What the whole agent costs on this machine: CPU an event under a syscall load, and idle with the default probes;
 * resident memory after 10 million events and later. Needs root, tracefs and gcc.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  cpuSeconds,
  median,
  type RunningAgent,
  residentBytes,
  sleep,
  startAgent,
  sumOf,
  workload,
} from './support.ts';

const ROUNDS = 5;
const CALLS = 3_000_000;
const IDLE_SECONDS = 20;

export async function benchLive(): Promise<void> {
  await underLoad();
  await idle();
}

async function reading(agent: RunningAgent) {
  const text = await agent.metrics();
  return {
    events: sumOf(text, 'ftrace_exporter_events_read_total'),
    lost: sumOf(text, 'ftrace_exporter_events_lost_total'),
    cpu: cpuSeconds(agent.pid),
    at: performance.now(),
  };
}

async function underLoad(): Promise<void> {
  const program = workload('getppid');
  const agent = await startAgent('probes: { syscalls: {} }\n');
  try {
    await sleep(1000);
    const perEvent: number[] = [];
    const rates: number[] = [];
    let after = await reading(agent);
    for (let round = 0; round < ROUNDS; round++) {
      const before = await reading(agent);
      await promisify(execFile)('taskset', ['-c', '0', program, String(CALLS)]);
      await sleep(150);
      after = await reading(agent);
      const events = after.events - before.events;
      perEvent.push(((after.cpu - before.cpu) * 1e9) / events);
      rates.push(events / ((after.at - before.at) / 1000));
    }
    const text = perEvent.map((ns) => ns.toFixed(0)).join(' ');
    console.log(`\nagent under a getppid loop, syscalls and default probes, ${ROUNDS} rounds`);
    console.log(`CPU of the whole agent, ns an event: ${text}, median ${median(perEvent).toFixed(0)}`);
    console.log(`events a second: median ${Math.round(median(rates))}; lost in all: ${after.lost}`);
    console.log(
      `resident after ${after.events} events: ${(residentBytes(agent.pid) / 2 ** 20).toFixed(1)} MiB`,
    );
  } finally {
    await agent.stop();
  }
}

async function idle(): Promise<void> {
  const agent = await startAgent('');
  try {
    await sleep(3000);
    const before = cpuSeconds(agent.pid);
    await sleep(IDLE_SECONDS * 1000);
    const share = (cpuSeconds(agent.pid) - before) / IDLE_SECONDS;
    console.log(`\nagent with the default probes, ${IDLE_SECONDS} s without a load of ours`);
    console.log(
      `CPU: ${(share * 100).toFixed(2)} % of one core; resident ${(residentBytes(agent.pid) / 2 ** 20).toFixed(1)} MiB`,
    );
  } finally {
    await agent.stop();
  }
}

if (import.meta.main) await benchLive();
