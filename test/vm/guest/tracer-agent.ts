/**
 * The agent with one tracer and nothing else, by each reader: started, tried by the checks that are handed in, ended;
 * and killed, then started again or cleaned up after. Each time tracefs must be as it was before.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { controlFiles, differences } from './control-files.ts';
import { cli, type Expected, endWell, type RunningAgent, startAgent, until } from './lab.ts';

export type Reader = 'raw' | 'trace_pipe';

export interface TracerCheck {
  tracer: string;
  /** The probe's section of the config, in YAML's flow style. Asked for when the agent is about to start. */
  options(): string;
  /** Default: both. */
  readers?: readonly Reader[];
  /** False where the tracer's buffer is not read. */
  reads?: boolean;
  /** Whether to try the command cleanup after a kill; it is the same for all that run at one place. */
  cleanup?: boolean;
  /** Defines checks; `agent()` runs while they do. */
  define(agent: () => RunningAgent, reader: Reader): void;
}

const OFF = ['sched', 'block', 'irq', 'softirq'].map((probe) => `${probe}: { enabled: false }`).join(', ');

export function instanceOf(tracer: string): string {
  return `lab-${tracer}`;
}

function configOf({ tracer, options }: TracerCheck, reader: Reader): string {
  return `instance: ${instanceOf(tracer)}\nreader: ${reader}\nprobes: { ${OFF}, ${tracer}: ${options()} }\n`;
}

/** Starts the agent and waits until the tracer's probe is up. */
async function start(check: TracerCheck, reader: Reader): Promise<RunningAgent> {
  const agent = await startAgent(configOf(check, reader));
  const up = async () => (await agent.scrape()).sum('ftrace_exporter_probe_up', { probe: check.tracer });
  await until(async () => (await up()) === 1, `${check.tracer} is up`).catch((error: Error) => {
    agent.child.kill('SIGTERM');
    throw new Error(`${error.message}: ${agent.stderr()}`);
  });
  return agent;
}

export function checkTracer(check: TracerCheck): void {
  const readers = check.readers ?? (['raw', 'trace_pipe'] as const);
  for (const reader of readers) {
    describe(`${check.tracer}, read by ${reader}`, () => {
      const run = watched(check);
      before(() => run.start(reader));
      check.define(run.agent, reader);
      it('loses nothing, counts as the kernel does, and leaves tracefs as it was', () =>
        run.end({ reads: check.reads !== false }));
    });
  }
  describe(`${check.tracer}, killed`, () => {
    const run = watched(check);
    it('and started again, it puts back at its end what was there before the first', async () => {
      await run.start('raw');
      await run.kill();
      await run.start(readers[readers.length - 1]);
      await run.end({ reads: false, warns: /that a killed agent had left|what a killed agent had changed/ });
    });
    if (!check.cleanup) return;
    it('cleanup puts everything back', async () => {
      await run.start('raw');
      await run.kill();
      const variables = { FTRACE_EXPORTER_INSTANCE: instanceOf(check.tracer) };
      const { status, stdout, stderr } = cli(['cleanup'], variables);
      assert.equal(status, 0, stderr + stdout);
      assert.deepEqual(run.changes(), []);
    });
  });
}

/** An agent, and what there was in tracefs before the first start. */
function watched(check: TracerCheck) {
  let files: Map<string, string> | undefined;
  let agent: RunningAgent | undefined;
  after(() => void agent?.child.kill('SIGKILL'));
  const changes = () => differences(files ?? new Map(), controlFiles());
  const running = () => {
    assert.ok(agent);
    return agent;
  };
  return {
    agent: running,
    changes,
    start: async (reader: Reader) => {
      files ??= controlFiles();
      agent = await start(check, reader);
    },
    kill: async () => {
      running().child.kill('SIGKILL');
      assert.equal(await running().ended, 'SIGKILL');
      assert.notDeepEqual(changes(), [], 'a killed agent must have left something');
    },
    end: async (expected: Expected) => {
      await endWell(running(), expected);
      assert.deepEqual(changes(), []);
    },
  };
}

/** Samples gained over some work, once a count that it drives has stayed still. */
export async function gained(
  agent: RunningAgent,
  work: () => void | Promise<void>,
  done: (gain: Gain) => boolean,
): Promise<Gain> {
  const then = await agent.scrape();
  await work();
  const gainNow = async (): Promise<Gain> => {
    const now = await agent.scrape();
    return (name, labels) => now.sum(name, labels) - then.sum(name, labels);
  };
  let gain = await gainNow();
  await until(async () => {
    gain = await gainNow();
    return done(gain);
  }, 'the counts are there').catch(() => {});
  // Once more: what came too much shows as well.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  gain = await gainNow();
  return gain;
}

export type Gain = (name: string, labels?: Readonly<Record<string, string | RegExp>>) => number;
