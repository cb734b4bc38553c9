/** Runs the agent as a process, with a known amount of work: counts must be exact, and nothing may be lost. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { endWell, getppids, nodeOn, type RunningAgent, settled, startAgent } from './lab.ts';

const CONFIG = `
instance: lab-counts
probes:
  syscalls: {}
  events: { count: ["sched:sched_process_exec"] }
`;
const DISK = 'vda';

describe('the agent counts', () => {
  let agent: RunningAgent;
  before(async () => {
    agent = await startAgent(CONFIG);
  });
  after(() => void agent?.child.kill('SIGKILL'));

  const count = async (name: string, labels: Record<string, string | RegExp>) =>
    (await agent.scrape()).sum(name, labels);

  it('every getppid', async () => {
    const CALLS = 3000;
    const read = () => count('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' });
    // Starting Node may call it too. A run without the calls shows how often.
    const start = await read();
    getppids(0, 0);
    const once = (await settled(read, start, 'the count')) - start;
    getppids(0, CALLS);
    const expected = start + 2 * once + CALLS;
    assert.equal(await settled(read, expected, 'the count of getppid'), expected);
  });

  it('every exec', async () => {
    const EXECS = 20;
    const read = () => count('ftrace_events_total', { event: 'sched:sched_process_exec' });
    const start = await read();
    execFileSync('sh', ['-c', `for i in $(seq ${EXECS}); do /bin/true; done`]);
    // The shell, seq, and the programs.
    const expected = start + EXECS + 2;
    assert.equal(await settled(read, expected, 'the count of execs'), expected);
  });

  it('hand-overs of two threads on one CPU', async () => {
    const ROUNDS = 500;
    const read = () => count('ftrace_sched_switches_total', { cpu: '0', kind: 'voluntary' });
    const start = await read();
    nodeOn(
      0,
      `const turn = new Int32Array(new SharedArrayBuffer(4));
       const play = (turn, mine) => { for (let i = 0; i < ${ROUNDS}; i++) {
         while (Atomics.load(turn, 0) !== mine) Atomics.wait(turn, 0, 1 - mine);
         Atomics.store(turn, 0, 1 - mine); Atomics.notify(turn, 0); } };
       const { Worker } = require('node:worker_threads');
       new Worker(\`(\${play})(require('node:worker_threads').workerData, 1)\`, { eval: true, workerData: turn });
       play(turn, 0);`,
    );
    const seen = (await settled(read, start + 2 * ROUNDS, 'the count of switches')) - start;
    assert.ok(seen >= 2 * ROUNDS, `${seen} switches for ${2 * ROUNDS} hand-overs`);
  });

  it("requests and interrupts of a disk as the kernel's own statistics do", async () => {
    const stat = () => readFileSync(`/sys/block/${DISK}/stat`, 'utf8').trim().split(/\s+/).map(Number);
    const name = interruptName();
    const served = (operation: string) =>
      count('ftrace_block_io_device_seconds_count', { device: DISK, operation });
    const bytes = (operation: string) => count('ftrace_block_io_bytes_total', { device: DISK, operation });
    const handled = () => count('ftrace_irq_duration_seconds_count', { handler: new RegExp(`^${name}`) });
    const ours = async () => [
      await served('read'),
      await bytes('read'),
      await served('write'),
      await bytes('write'),
      await handled(),
    ];
    const theirs = () => {
      const [reads, , readSectors, , writes, , writeSectors] = stat();
      return [reads, readSectors * 512, writes, writeSectors * 512, interrupts(name)];
    };
    const before = { ours: await ours(), theirs: theirs() };
    const dd = (...operands: string[]) => execFileSync('dd', [...operands, 'status=none']);
    dd('if=/dev/zero', `of=/dev/${DISK}`, 'bs=16k', 'count=100', 'oflag=direct');
    dd(`if=/dev/${DISK}`, 'of=/dev/null', 'bs=64k', 'count=50', 'iflag=direct');
    const delta = (now: number[], then: number[]) => now.map((value, i) => value - then[i]);
    const expected = delta(theirs(), before.theirs);
    assert.ok(expected[0] >= 50 && expected[2] >= 100 && expected[4] >= 1, `${expected}`);
    await settled(handled, before.ours[4] + expected[4], 'the count of interrupts');
    assert.deepEqual(delta(await ours(), before.ours), expected);
  });

  it('loses nothing and ends well', async () => {
    await endWell(agent);
  });
});

/** Names of the disk's interrupts begin with this, `virtio2-req`. */
function interruptName(): string {
  const name = /\s(virtio\d+-req)\S*$/m.exec(readFileSync('/proc/interrupts', 'utf8'))?.[1];
  assert.ok(name, 'the disk has no interrupt');
  return name;
}

/** How often they came, on all CPUs. */
function interrupts(name: string): number {
  const lines = readFileSync('/proc/interrupts', 'utf8').split('\n');
  const cpus = lines[0].trim().split(/\s+/).length;
  return lines
    .filter((line) => new RegExp(`\\s${name}\\S*$`).test(line))
    .flatMap((line) =>
      line
        .trim()
        .split(/\s+/)
        .slice(1, cpus + 1),
    )
    .reduce((sum, digits) => sum + Number(digits), 0);
}
