/**
 * Compares a known number of calls with an agent's count, on a machine where other programs make the same call and
 * where events can be lost. A witness counts the calls of the other programs; the agent reports losses.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, type Scrape, settled } from './agent.ts';
import type { Witness } from './witness.ts';

const ATTEMPTS = 5;
/** After a loss, the count is final if it is the same in this many consecutive scrapes. */
const STILL = 20;

export interface KnownCalls {
  t: TestContext;
  agent: Pick<Agent, 'scrape'>;
  /** Counts the calls of all tasks but the workload's. */
  others: Witness;
  /** The agent's count of these calls. */
  counted(scrape: Scrape): number;
  /** Makes the calls. Returns their number. */
  work(): Promise<number>;
}

const lost = (scrape: Scrape) => scrape.sum('ftrace_exporter_events_lost_total');

/**
 * In every attempt, a call may be missing only if the agent reports a lost event for it, and the agent may not count
 * more calls than the workload and other programs made. Repeats until nothing was lost and no other program made a
 * call. After five attempts, one attempt without a loss is enough. Returns the scrapes before and after the last
 * attempt without a loss.
 */
export async function countsExactly({ t, agent, others, counted, work }: KnownCalls) {
  let lossless: { first: Scrape; last: Scrape } | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const othersBefore = others.count();
    // Wait until the agent has processed earlier events.
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
 * A workload that makes this many calls, of `process.ppid` by default, spread over `ms`. At full speed, the result
 * would depend on how much CPU time other programs leave to the agent. `work()` returns the number of calls.
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
