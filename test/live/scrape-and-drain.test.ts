/**
 * Nothing on the HTTP side may delay the reading of the kernel's buffers. Under a load that fills them in a fraction of
 * a second nothing may be lost, whatever scrapers do, even while the main thread is blocked. If the capture thread
 * dies, the agent must report that until it has started again.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, type Config, makeBench, type Scrape, settled, type Workload } from '../support/agent.ts';
import { callsOver, countsExactly } from '../support/exactly.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('scrape');
const BUFFER_BYTES = 8 << 20;
/** Number of calls. An event has about 50 bytes, so their events fill a buffer more than three times. */
const LOAD = 600_000;
/** Duration of the load, and of the main thread's standstill. A reader that stopped for so long would lose events. */
const STILL_MS = 2000;
const CONFIG: Config = {
  buffer: { per_cpu: `${BUFFER_BYTES >> 20}MiB` },
  probes: { syscalls: { include: ['getppid'] } },
};

const counted = (scrape: Scrape) =>
  scrape.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' });
const bytesRead = (scrape: Scrape) => scrape.sum('ftrace_exporter_read_bytes_total');

/**
 * Runs the load and `disturb` at the same time. All calls must be counted in one of several attempts: other programs
 * can cause losses in some attempts, but a delay by `disturb` would cause them in all.
 */
async function nothingLostWhile(
  t: TestContext,
  agent: Agent,
  workload: Workload,
  disturb: () => Promise<void>,
): Promise<void> {
  const others = watch(bench, ['getppid'], { not: [workload.pid] });
  const work = async () => (await Promise.all([workload.run<number>(), disturb()]))[0];
  const { first, last } = await countsExactly({ t, agent, others, counted, work });
  const bytes = bytesRead(last) - bytesRead(first);
  assert.ok(bytes > 2 * BUFFER_BYTES, `${bytes} bytes are too few to lose anything if a tick came late`);
  others.remove();
}

test('fifty scrapes, of which some are never read, lose nothing', async (t) => {
  const agent = await bench.start(CONFIG);
  const workload = await bench.workload(callsOver(STILL_MS, LOAD));
  const sockets: Socket[] = [];
  await nothingLostWhile(t, agent, workload, async () => {
    for (let i = 0; i < 10; i++) {
      const socket = connect(Number(new URL(agent.url).port), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.pause();
      socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
      sockets.push(socket);
    }
    const scrapes = Array.from({ length: 20 }, async () => {
      const response = await fetch(`${agent.url}/metrics`);
      // Above the limit of concurrent scrapes, the agent answers 503. No request may hang.
      assert.ok(response.status === 200 || response.status === 503, `status ${response.status}`);
      await response.arrayBuffer();
    });
    await Promise.all(scrapes);
    for (let i = 0; i < 20; i++) assert.ok(counted(await agent.scrape()) >= 0);
  });
  for (const socket of sockets) socket.destroy();
  assert.equal(await agent.stop(), 0, agent.stderr());
  await workload.end();
});

/** Node flags that run a script in the agent before its own code. */
const planted = (script: string) => ['--import', `data:text/javascript,${encodeURIComponent(script)}`];

test('with the main thread standing still nothing is lost', async (t) => {
  const nodeFlags = planted(`
    import { isMainThread } from 'node:worker_threads';
    if (isMainThread)
      process.on('SIGUSR2', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${STILL_MS}));`);
  const agent = await bench.start(CONFIG, { nodeFlags });
  const workload = await bench.workload(callsOver(STILL_MS, LOAD));
  await nothingLostWhile(t, agent, workload, async () => {
    agent.child.kill('SIGUSR2');
  });
  assert.equal(await agent.stop(), 0, agent.stderr());
  await workload.end();
});

test('a capture thread that dies is reported, and comes back', async () => {
  const trigger = join(bench.directory, 'die');
  const nodeFlags = planted(`
    import { existsSync, rmSync } from 'node:fs';
    import { isMainThread } from 'node:worker_threads';
    if (!isMainThread)
      setInterval(() => {
        if (!existsSync(${JSON.stringify(trigger)})) return;
        rmSync(${JSON.stringify(trigger)});
        throw new Error('planted');
      }, 20).unref();`);
  const agent = await bench.start(CONFIG, { nodeFlags });
  const readiness = async () => {
    const response = await fetch(`${agent.url}/readyz`);
    return { status: response.status, text: await response.text() };
  };
  const upProbes = (scrape: Scrape) => scrape.series('ftrace_exporter_probe_up').map(({ value }) => value);
  assert.deepEqual(new Set(upProbes(await agent.scrape())), new Set([1]));

  writeFileSync(trigger, '');
  let down = await readiness();
  while (down.status === 200) {
    await sleep(5);
    down = await readiness();
  }
  assert.equal(down.status, 503);
  assert.match(down.text, /^not ready: .+/);
  const without = await agent.scrape();
  assert.deepEqual(new Set(upProbes(without)), new Set([0]), without.text);
  assert.equal(upProbes(without).length, 5);
  assert.equal(without.series('ftrace_syscall_duration_seconds_count').length, 0);
  assert.equal((await fetch(`${agent.url}/healthz`)).status, 200);
  const status = await fetch(`${agent.url}/api/v1/status`);
  assert.deepEqual([status.status, ((await status.json()) as { capture: unknown }).capture], [503, null]);

  while ((await readiness()).status !== 200) {
    assert.equal(agent.child.exitCode, null, agent.stderr());
    await sleep(20);
  }
  assert.match(agent.stderr(), /level=warn msg="restarting the capture thread" .*planted/);
  const again = await agent.scrape();
  assert.deepEqual(new Set(upProbes(again)), new Set([1]));
  assert.equal(again.sum('ftrace_exporter_capture_restarts_total'), 1);
  const CALLS = 1000;
  const workload = await bench.workload(
    `const work = () => { for (let i = 0; i < ${CALLS}; i++) process.ppid; };`,
  );
  const before = counted(await agent.scrape());
  await workload.run();
  const behind = await settled(agent, (scrape) => counted(scrape) >= before + CALLS);
  assert.ok(counted(behind) >= before + CALLS, `${counted(behind) - before} of ${CALLS} calls are counted`);
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.equal(existsSync(agent.dir), false);
  await workload.end();
});

test('60 idle clients of an agent with few file descriptors leave the capture those that a reload needs', async () => {
  const descriptors = (agent: Agent) => readdirSync(`/proc/${agent.child.pid}/fd`).length;
  const usual = await bench.start({});
  const limit = descriptors(usual) + 20;
  assert.equal(await usual.stop(), 0, usual.stderr());
  const agent = await bench.start({}, { wrapper: ['sh', '-c', `ulimit -n ${limit}; exec "$0" "$@"`] });
  const clients = Array.from({ length: 60 }, () =>
    connect(Number(new URL(agent.url).port), '127.0.0.1')
      .on('error', () => {})
      .resume(),
  );
  await Promise.all(clients.map((client) => Promise.race([once(client, 'connect'), once(client, 'close')])));
  // Reads again after the last client was accepted.
  const drained = async () => (await agent.scrape()).sum('ftrace_exporter_last_drain_timestamp_seconds');
  const accepted = await drained();
  while ((await drained()) <= accepted) await sleep(20);
  const file = join(bench.directory, `${agent.instance}.yaml`);
  const web = { listen_address: '127.0.0.1:0' };
  const probes = { syscalls: { include: ['getppid'] }, blocked: { enabled: true } };
  writeFileSync(file, JSON.stringify({ instance: agent.instance, web, probes }));
  agent.child.kill('SIGHUP');
  while (!/msg="config (not )?reloaded/.test(agent.stderr())) {
    assert.equal(agent.child.exitCode, null, agent.stderr());
    await sleep(20);
  }
  assert.match(agent.stderr(), /msg="config reloaded"/);
  const { sum } = await agent.scrape();
  assert.equal(sum('ftrace_exporter_probe_up', { probe: 'syscalls' }), 1);
  assert.equal(sum('ftrace_exporter_capture_restarts_total'), 0, agent.stderr());
  for (const client of clients) client.destroy();
  assert.equal(await agent.stop(), 0, agent.stderr());
});
