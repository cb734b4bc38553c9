/**
 * A fleet for dashboards and rules: an agent on the running kernel with its own disk and a workload, agents that serve
 * what another kernel's tracers wrote, and a Prometheus that scrapes them all and has the shipped rules.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { probeCatalogue } from '../../src/probes/catalogue.ts';
import { type Agent, type Bench, needTool } from '../support/agent.ts';
import { hierarchyDir, makeGroup } from '../support/cgroups.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { goProgram, PROMETHEUS } from './go-program.ts';

export const JOB = 'ftrace-exporter';
export const RULES = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));

/** Text that the tracers of a 6.12-rt kernel wrote, because this machine's kernel may not have them. */
const RECORDED: Readonly<Record<string, string>> = {
  function: 'tracers-6.12-rt/function.txt',
  function_graph: 'tracers-6.12-rt/function_graph.txt',
  timerlat: 'tracers-6.12-rt/timerlat.txt',
  osnoise: 'tracers-6.12-rt/osnoise.txt',
  hwlat: 'tracers-6.12-rt/hwlat.txt',
  wakeup_rt: 'text/6.12-rt.wakeup_rt.txt',
};
export const RECORDED_PROBES = Object.keys(RECORDED);
/** Probes that need no tracer. All of them are on, so that a new probe has data for its panel. */
const OF_EVENTS = probeCatalogue.filter(({ tracer }) => tracer === undefined);
/**
 * Number of scrapes in which the counters of a recording are set to 0. Its counters do not grow, because everything
 * happened before the first scrape, but rates need growth.
 */
const SCRAPES_BEFORE = 2;
const DISK_BYTES = 32 << 20;
const WORK = `ls /no/such/file; dd if=/dev/zero of=$0 bs=16k count=20 oflag=direct conv=fsync
  dd if=$0 of=/dev/null bs=16k count=20 iflag=direct; dd if=/dev/zero of=$1 bs=16k count=20 conv=fsync
  python3 -c 'import socket; socket.socket().connect_ex(("127.0.0.1", 9))'; sleep 0.2`;

export interface Fleet {
  prometheus: Prometheus;
  agents: readonly Agent[];
  /** Ends the agent that traces. It then restores the top level, which it took for the probe blk. */
  end(): Promise<void>;
}

/** `withTopLevel: false` does not touch the top level of tracefs and so leaves out the probe blk. */
export async function startFleet(bench: Bench, { withTopLevel = true } = {}): Promise<Fleet> {
  const device = makeDisk(bench);
  const live = await bench.start({
    probes: {
      ...Object.fromEntries(OF_EVENTS.map(({ name }) => [name, {}])),
      sched: { per_container: true },
      syscalls: { per_container: true },
      block: { per_container: true },
      isolation: { cpus: '1' },
      events: { count: ['sched:sched_process_exec'] },
      blk: withTopLevel ? { devices: [basename(device)] } : { enabled: false },
    },
    // A budget that is never reached, because the panel of suspended probes needs data.
    budget: { cpu: '6400%' },
    // So low that some waits of the workload reach it. The limit of traces per second drops most of them.
    spans: { kinds: { sched: { threshold: '10us' } } },
    otlp: { metrics: true, metric_export_interval: '500ms', endpoint: await openSink(bench) },
  });
  const groups = hierarchyDir('cpu');
  // Made before the workload, because the bench cleans up in reverse order: first the processes, then the group.
  const group = groups === undefined ? undefined : makeGroup(bench, groups);
  const file = join(bench.directory, 'written');
  const work = spawn('sh', ['-c', `while :; do ${WORK}; done`, device, file], {
    stdio: 'ignore',
    detached: true,
  });
  bench.atEnd(() => {
    if (work.pid !== undefined) process.kill(-work.pid, 'SIGKILL');
  });
  if (group !== undefined) writeFileSync(join(group.dir, 'cgroup.procs'), String(work.pid));
  const recorded = await Promise.all(
    Object.entries(RECORDED).map(async ([probe, file]) => {
      const off = ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]);
      const command = ['replay', join(FIXTURES, file), '--serve'];
      const agent = await bench.start({ probes: { ...Object.fromEntries(off), [probe]: {} } }, { command });
      return { agent, target: await fromZero(bench, agent), instance: `recorded-${probe}` };
    }),
  );
  const targets = [{ target: new URL(live.url).host, instance: 'live' }, ...recorded];
  const prometheus = await startPrometheus(
    bench,
    goProgram(PROMETHEUS),
    [
      {
        job_name: JOB,
        static_configs: targets.map(({ target, instance }) => ({
          targets: [target],
          labels: { cluster: 'e2e', instance },
        })),
        // A replay adds a label `source`, so osnoise's own label of this name is `exported_source`. Change it back.
        metric_relabel_configs: [
          { source_labels: ['exported_source'], regex: '(.+)', target_label: 'source' },
          { regex: 'exported_source', action: 'labeldrop' },
        ],
      },
    ],
    ['--enable-feature=exemplar-storage'],
    { rule_files: [join(RULES, 'rules.yaml'), join(RULES, 'alerts.yaml')] },
  );
  await prometheus.scraped(JOB);
  // Some counters have no series before their first event. Cause two such events with a scrape in between, for rates.
  for (let time = 0; time < 2; time++) {
    await talkNonsense(live);
    const span = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    for (const end of ['begin', 'end'])
      writeFileSync(join(live.dir, 'trace_marker'), `traceparent=${span} ${end}`);
    await sleep(1500);
    await prometheus.scraped(JOB);
  }
  return {
    prometheus,
    agents: [live, ...recorded.map(({ agent }) => agent)],
    end: async () => {
      assert.equal(await live.stop(), 0, live.stderr());
    },
  };
}

/** A loop device that nobody else uses. */
function makeDisk(bench: Bench): string {
  needTool('losetup', 'mount');
  const image = join(bench.directory, 'disk.img');
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);
  const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  bench.atEnd(() => execFileSync('losetup', ['--detach', device]));
  return device;
}

/** Starts a server with the agent's metrics, whose counters are 0 in the first scrapes. Returns its `host:port`. */
async function fromZero(bench: Bench, agent: Agent): Promise<string> {
  let scrapes = 0;
  return serve(bench, async () => {
    const { text } = await agent.scrape();
    const body = scrapes++ < SCRAPES_BEFORE ? withCountersAtZero(text) : text;
    return { type: 'text/plain; version=0.0.4', body };
  });
}

function withCountersAtZero(text: string): string {
  return text.replace(/^(ftrace_\w+_(?:total|bucket|sum|count)(?:\{.*\})?) \S+$/gm, '$1 0');
}

/** URL of an OTLP backend that accepts everything and stores nothing: an empty message means "all accepted". */
async function openSink(bench: Bench): Promise<string> {
  return `http://${await serve(bench, async () => ({ type: 'application/x-protobuf', body: '' }))}`;
}

async function serve(bench: Bench, answer: () => Promise<{ type: string; body: string }>): Promise<string> {
  const server = createServer(async (request, response) => {
    request.resume();
    try {
      const { type, body } = await answer();
      response.writeHead(200, { 'content-type': type }).end(body);
    } catch (error) {
      // At the end of a test, Prometheus still scrapes agents that have already stopped.
      response.writeHead(502).end(String(error));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  bench.atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return `127.0.0.1:${address.port}`;
}

/** Sends a malformed request, which the agent refuses. */
async function talkNonsense({ url }: Agent): Promise<void> {
  const { hostname, port } = new URL(url);
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.end('no request\r\n\r\n'));
    socket.on('error', () => resolve()).on('close', () => resolve());
    socket.resume();
  });
}
