/**
 * Without any Linux capability, and in its own pid namespace, the agent must count exactly, know the host pids of its
 * threads, and leave nothing behind.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, needTool, type Scrape, settled } from '../support/agent.ts';
import { callsOver, countsExactly } from '../support/exactly.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('privileges');
const CALLS = 100_000;
const NO_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
// `unshare` ignores SIGTERM, but when it is killed its child ends too.
const PID_NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Number of getpriority calls of the marking workload: more than other programs make by chance. */
const MARKS = 1000;
/** Syscalls that the agent makes all the time, and that hardly any other program makes on a calm machine. */
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

/** Pid of the agent below a chain of wrappers, each of which starts or becomes the next program. */
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
      const workload = await bench.workload(callsOver(500, CALLS));
      const others = watch(bench, ['getppid'], { not: [workload.pid] });
      const agent = await bench.start({ probes: { syscalls: {} }, log: { level: 'debug' } }, { wrapper });
      const pid = innermost(agent.child.pid ?? 0);
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const namespaces = /^NSpid:\s+(.*)$/m.exec(status)?.[1].split(/\s+/) ?? [];
      assert.equal(namespaces.length, namespace ? 2 : 1, status);
      const held = /^CapEff:\s+(\S+)$/m.exec(status)?.[1] ?? '';
      assert.equal(BigInt(`0x${held}`) > 0n, capabilities, `CapEff: ${held}`);

      const learned = /found the thread ids of the agent.*?threads="?\[([\d,\s]+)\]/
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
      await countsExactly({ t, agent, others, counted, work: () => workload.run<number>() });

      // The agent makes these syscalls all the time, but must count only those of other programs: at most as many as
      // the witness of the other programs saw between the two scrapes.
      const mark = await bench.workload(callsOver(0, MARKS, "require('node:os').getPriority(0)"));
      const marks = (scrape: Scrape) =>
        scrape.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getpriority' });
      /** Returns a scrape that contains everything recorded before this call. */
      const upToNow = async () => {
        const before = marks(await agent.scrape());
        await mark.run();
        return settled(agent, (scrape) => marks(scrape) >= before + MARKS);
      };
      const tids = threadsOf(pid);
      const ours = watch(bench, OWN_HABITS, { only: tids }, 'exit');
      const theirs = watch(bench, OWN_HABITS, { not: tids }, 'exit');
      const habits = (scrape: Scrape) =>
        OWN_HABITS.reduce(
          (sum, syscall) => sum + scrape.sum('ftrace_syscall_duration_seconds_count', { syscall }),
          0,
        );
      const ignored = (scrape: Scrape) =>
        scrape.sum('ftrace_exporter_events_ignored_total', { reason: 'self' });
      const theirsBefore = theirs.count();
      const before = await upToNow();
      const oursBefore = ours.count();
      await sleep(1500);
      const own = ours.count() - oursBefore;
      const after = await upToNow();
      const foreign = theirs.count() - theirsBefore;
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
      await mark.end();
      await workload.end();
    });
  });
}
