/**
 * The agent without any Linux capability, and in a pid namespace of its own: it counts exactly, knows its own threads
 * by the ids the kernel gives them, and leaves nothing behind.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, needTool, type Scrape, settled } from '../support/agent.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('privileges');
const CALLS = 100_000;
const NO_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
// `unshare` ignores SIGTERM, but takes its child with it when it is killed.
const PID_NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Syscalls that the agent makes all the time, and hardly anybody else on a calm machine. */
const OWN_HABITS = ['epoll_pwait', 'read', 'futex'];

const WAYS = [
  { name: 'without capabilities', wrapper: NO_CAPABILITIES, capabilities: false, namespace: false },
  { name: 'in a pid namespace', wrapper: PID_NAMESPACE, capabilities: true, namespace: true },
  {
    name: 'in a pid namespace, without capabilities',
    wrapper: [...PID_NAMESPACE, ...NO_CAPABILITIES],
    capabilities: false,
    namespace: true,
  },
];

/** The process that a chain of wrappers has become, or has as its only child. */
function innermost(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const isNode = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] === process.execPath;
  return isNode || children === '' ? pid : innermost(Number(children.split(' ')[0]));
}

const threadsOf = (pid: number) => readdirSync(`/proc/${pid}/task`).map(Number);

for (const { name, wrapper, capabilities, namespace } of WAYS) {
  describe(`an agent ${name}`, () => {
    before(() => {
      needTool('setpriv', 'util-linux');
      needTool('unshare', 'util-linux');
    });

    it('counts exactly, leaves out its own threads and nobody else, and goes without a trace', async (t) => {
      const workload = await bench.workload(
        `const work = () => { for (let i = 0; i < ${CALLS}; i++) process.ppid; };`,
      );
      const others = watch(bench, ['getppid'], { not: [workload.pid] });
      const agent = await bench.start({ probes: { syscalls: {} }, log: { level: 'debug' } }, { wrapper });
      const pid = innermost(agent.child.pid ?? 0);
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const namespaces = /^NSpid:\s+(.*)$/m.exec(status)?.[1].split(/\s+/) ?? [];
      assert.equal(namespaces.length, namespace ? 2 : 1, status);
      const held = /^CapEff:\s+(\S+)$/m.exec(status)?.[1] ?? '';
      assert.equal(BigInt(`0x${held}`) > 0n, capabilities, `CapEff: ${held}`);

      const learned = /own threads.*?threads="?\[([\d,\s]+)\]/
        .exec(agent.stderr())?.[1]
        .split(',')
        .map(Number);
      assert.deepEqual(
        threadsOf(pid).filter((tid) => !learned?.includes(tid)),
        [],
        `it knows ${learned} of its threads ${threadsOf(pid)}:\n${agent.stderr()}`,
      );

      const counted = (scrape: Scrape) =>
        scrape.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' });
      for (let attempt = 1; ; attempt++) {
        const strangersBefore = others.count();
        // By now it has seen whatever happened before.
        await sleep(200);
        const first = await agent.scrape();
        await workload.run();
        const last = await settled(agent, (scrape) => counted(scrape) >= counted(first) + CALLS);
        const strangers = others.count() - strangersBefore;
        const lost =
          last.sum('ftrace_exporter_events_lost_total') - first.sum('ftrace_exporter_events_lost_total');
        if (strangers === 0 && lost === 0) {
          assert.equal(counted(last) - counted(first), CALLS);
          break;
        }
        t.diagnostic(`attempt ${attempt}: ${lost} events lost, ${strangers} calls by others`);
        assert.ok(attempt < 5, 'events were lost, or others made calls, in every attempt');
      }

      // Of the syscalls that the agent makes all the time it shows those of others alone. It records within the time
      // that these are counted, so not one may be too many.
      const tids = threadsOf(pid);
      const ours = watch(bench, OWN_HABITS, { only: tids });
      const theirs = watch(bench, OWN_HABITS, { not: tids });
      const record = (dir: string, on: boolean) => writeFileSync(join(dir, 'tracing_on'), on ? '1' : '0');
      const habits = (scrape: Scrape) =>
        OWN_HABITS.reduce(
          (sum, syscall) => sum + scrape.sum('ftrace_syscall_duration_seconds_count', { syscall }),
          0,
        );
      const ignored = (scrape: Scrape) =>
        scrape.sum('ftrace_exporter_events_ignored_total', { reason: 'self' });
      const atRest = async () => {
        await sleep(500);
        return agent.scrape();
      };
      record(agent.dir, false);
      const before = await atRest();
      const [oursBefore, theirsBefore] = [ours.count(), theirs.count()];
      record(agent.dir, true);
      await sleep(1500);
      record(agent.dir, false);
      const [own, foreign] = [ours.count() - oursBefore, theirs.count() - theirsBefore];
      const after = await atRest();
      const shown = habits(after) - habits(before);
      t.diagnostic(`${own} calls by the agent, ${foreign} by others, ${shown} counted`);
      assert.ok(own > 100, `the agent made only ${own} calls`);
      assert.ok(shown <= foreign, `${shown} calls counted, ${foreign} by others, ${own} by the agent`);
      assert.ok(
        ignored(after) - ignored(before) >= own,
        `${ignored(after) - ignored(before)} events ignored`,
      );

      process.kill(pid, 'SIGTERM');
      assert.equal(await agent.ended, 0, agent.stderr());
      assert.equal(existsSync(agent.dir), false);
      for (const one of [others, ours, theirs]) one.remove();
      await workload.end();
    });
  });
}
