/**
 * Runs the agent with a group of tracers and nothing else, with each reader. It is started (also after a kill), the
 * given checks run, and it is ended, or killed and cleaned up. Then tracefs must be as before the first start. A group
 * contains tracers that can be on together, because a start takes long under emulation.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlFiles, differences } from './control-files.ts';
import {
  cli,
  type Expected,
  endWell,
  losesNothing,
  type RunningAgent,
  skipTracer,
  startAgent,
  TRACEFS,
  until,
} from './lab.ts';

export type Reader = 'raw' | 'trace_pipe';

export interface TracerCheck {
  tracer: string;
  /** The probe's section of the config, in YAML's flow style. */
  options: string;
  /** Functions that it traces. */
  functions?: readonly string[];
  /** Stops the tracer while others are tested. */
  rest?(): void;
  /** Undoes that, because the agent only restores what is as it wrote it. */
  wake?(): void;
  /** What the agent rightly logs about how the check interrupts the recording of its tracer. */
  interrupts?: RegExp;
  /** Defines checks; `agent()` runs meanwhile. */
  define(agent: () => RunningAgent, reader: Reader): void;
}

export interface TracerGroup {
  /** Without checks that were not asked for, or whose tracer this kernel lacks. */
  checks: readonly TracerCheck[];
  readers: readonly Reader[];
  /** Whether the first start follows a kill, and the last agent is killed and cleaned up. */
  kill: boolean;
  /** False if no buffer is read. */
  reads?: boolean;
}

const NAME = 'lab-tracers';
const OFF = ['sched', 'block', 'irq', 'softirq'].map((probe) => `${probe}: { enabled: false }`).join(', ');

/** Directory of the agent's instance for one tracer. */
export function agentInstance(tracer: string): string {
  return join(TRACEFS, 'instances', `${NAME}-${tracer}`);
}

export function checkGroup(group: TracerGroup): void {
  const checks = group.checks.filter(({ tracer }) => !skipTracer(tracer));
  if (checks.length === 0) return;
  const { readers, kill } = group;
  for (const [i, reader] of readers.entries()) {
    describe(`${checks.map(({ tracer }) => tracer).join(', ')}, read by ${reader}`, () => {
      const run = watched(checks);
      const killFirst = kill && i === 0;
      const cleanUp = kill && i === readers.length - 1;
      it(`start${killFirst ? ', where those that were killed have left everything' : ''}`, async () => {
        if (killFirst) {
          await run.start(reader);
          await run.kill();
        }
        await run.start(reader);
        for (const { rest } of checks) rest?.();
        // The agent reads what was recorded until then.
        await sleep(1000);
      });
      it('arm the functions named and no other', () => run.armsWhatIsNamed());
      for (const { tracer, define } of checks) describe(tracer, () => define(run.agent, reader));
      if (!cleanUp) {
        it('lose nothing, count as the kernel does, and leave tracefs as it was', async () => {
          for (const { wake } of checks) wake?.();
          await endWell(run.agent(), { reads: group.reads !== false, ...expected(checks, killFirst) });
          assert.deepEqual(run.changes(), []);
        });
        return;
      }
      it('lose nothing, and cleanup puts back what they leave when killed', async () => {
        for (const { wake } of checks) wake?.();
        await losesNothing(run.agent(), expected(checks, killFirst).interrupted);
        await run.kill();
        const { status, stdout, stderr } = cli(['cleanup'], { FTRACE_EXPORTER_INSTANCE: NAME });
        assert.equal(status, 0, stderr + stdout);
        assert.deepEqual(run.changes(), []);
      });
    });
  }
}

/** Warnings and interruptions that the checks' own doings explain. */
function expected(checks: readonly TracerCheck[], killed: boolean): Expected {
  const interrupting = checks.filter(({ interrupts }) => interrupts !== undefined);
  const parts = interrupting.flatMap(({ interrupts }) => interrupts?.source ?? []);
  if (killed) parts.push('left by a killed agent|that a killed agent had changed');
  return {
    ...(parts.length > 0 && { warns: new RegExp(parts.join('|')) }),
    interrupted: interrupting.map(({ tracer }) => tracer),
  };
}

/** An agent, and the content of tracefs before its first start. */
function watched(checks: readonly TracerCheck[]) {
  let files: Map<string, string> | undefined;
  let armedBefore: string[] = [];
  let agent: RunningAgent | undefined;
  after(() => void agent?.child.kill('SIGKILL'));
  const changes = () => differences(files ?? new Map(), controlFiles());
  const running = () => {
    assert.ok(agent, 'it has not started');
    return agent;
  };
  return {
    agent: running,
    changes,
    start: async (reader: Reader) => {
      files ??= controlFiles();
      if (agent === undefined) armedBefore = armedFunctions();
      const sections = checks.map(({ tracer, options }) => `${tracer}: ${options}`).join(', ');
      agent = await startAgent(`instance: ${NAME}\nreader: ${reader}\nprobes: { ${OFF}, ${sections} }\n`);
      const samples = await agent.scrape();
      for (const { tracer } of checks)
        assert.equal(samples.sum('ftrace_exporter_probe_up', { probe: tracer }), 1, agent.stderr());
    },
    armsWhatIsNamed: () => {
      const named = new Set([...armedBefore, ...checks.flatMap(({ functions = [] }) => functions)]);
      assert.deepEqual(armedFunctions(), [...named].sort());
    },
    kill: async () => {
      running().child.kill('SIGKILL');
      assert.equal(await running().ended, 'SIGKILL');
      assert.notDeepEqual(changes(), [], 'a killed agent must have left something');
    },
  };
}

/** Names in `enabled_functions`: functions that anybody traces. */
export function armedFunctions(): string[] {
  const lines = readFileSync(join(TRACEFS, 'enabled_functions'), 'utf8').split('\n');
  return [...new Set(lines.flatMap((line) => /^(\S+) /.exec(line)?.[1] ?? []))].sort();
}

export type Gain = (name: string, labels?: Readonly<Record<string, string | RegExp>>) => number;

/**
 * How much samples grew during some work, once the count that it drives has reached its value and has stopped changing.
 */
export async function gained(
  agent: RunningAgent,
  work: () => void | Promise<void>,
  done: (gain: Gain) => boolean = () => true,
): Promise<Gain> {
  const then = await agent.scrape();
  await work();
  const gainNow = async (): Promise<Gain> => {
    const now = await agent.scrape();
    return (name, labels) => now.sum(name, labels) - then.sum(name, labels);
  };
  await until(async () => done(await gainNow()), 'the counts are there').catch(() => {});
  // Once more, so that a count that is too high shows as well.
  await sleep(1000);
  return gainNow();
}
