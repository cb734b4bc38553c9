/**
 * Known calls against an agent's count of them, on a machine where others make the same call and where a CPU that is busy
 * with others costs events. Both are seen and told: the witness counts the calls of others, the agent its losses.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, type Scrape, settled } from './agent.ts';
import type { Witness } from './witness.ts';

const ATTEMPTS = 5;
/** Scrapes in a row with the same count, after which no more comes. */
const STILL = 20;

export interface KnownCalls {
  t: TestContext;
  agent: Pick<Agent, 'scrape'>;
  /** Watches the call, by all tasks but the workload's. */
  others: Witness;
  /** The agent's count of it. */
  counted(scrape: Scrape): number;
  /** Makes the calls; resolves to their number. */
  work(): Promise<number>;
}

const lost = (scrape: Scrape) => scrape.sum('ftrace_exporter_events_lost_total');

/**
 * Asserts of every attempt that no call is missing that is not reported as lost, and that no more are counted than the
 * workload and others made. Tries until nothing was lost and nobody else made a call, or at least the former. Gives the
 * scrapes around the last attempt without a loss.
 */
export async function countsExactly({ t, agent, others, counted, work }: KnownCalls) {
  let lossless: { first: Scrape; last: Scrape } | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const othersBefore = others.count();
    // By now the agent has seen whatever happened before.
    await sleep(200);
    const first = await agent.scrape();
    const calls = await work();
    let still = 0;
    let before = -1;
    const last = await settled(agent, (scrape) => {
      still = counted(scrape) === before ? still + 1 : 0;
      before = counted(scrape);
      return before >= counted(first) + calls || (still >= STILL && lost(scrape) > lost(first));
    });
    const strangers = others.count() - othersBefore;
    const [grown, newlyLost] = [counted(last) - counted(first), lost(last) - lost(first)];
    t.diagnostic(`${calls} calls, ${grown} counted, ${newlyLost} events lost, ${strangers} calls by others`);
    assert.ok(
      calls - grown <= newlyLost,
      `${calls - grown} calls are missing, ${newlyLost} events were lost`,
    );
    assert.ok(
      grown <= calls + strangers,
      `${grown} are counted of ${calls} calls, and ${strangers} by others`,
    );
    if (newlyLost > 0) continue;
    lossless = { first, last };
    if (strangers === 0) break;
  }
  assert.ok(lossless, `events were lost in each of ${ATTEMPTS} attempts`);
  return lossless;
}

/**
 * A workload of so many calls of `process.ppid`, or what is given, spread over some time: as quickly as it can, it would
 * also measure how much CPU others leave to the agent. Answers their number.
 */
export function callsOver(ms: number, calls: number, call = 'process.ppid'): string {
  return `
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const work = () => {
      const start = performance.now();
      for (let i = 0; i < ${calls}; ) {
        for (const end = i + ${calls / 1000}; i < end; i++) ${call};
        const early = start + (i / ${calls}) * ${ms} - performance.now();
        if (early > 1) Atomics.wait(pause, 0, 0, early);
      }
      return ${calls};
    };`;
}
