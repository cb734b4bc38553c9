/**
 * Installs the chart, with the image that deploy/image builds, in a cluster of one node, and goes on until it is
 * removed. Each test continues where the one before ended. run.ts starts these tests and removes the cluster.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { CHART, type Values } from '../e2e/chart.ts';
import { CONTAINERD, CONTROL_PLANE, HELM } from '../e2e/go-program.ts';
import { TRACEFS } from '../support/agent.ts';
import { topLevelTurn } from '../support/top-level.ts';
import {
  type Agents,
  agentStatus,
  agentsOf,
  type Pod,
  RARE,
  startWorkload,
  work,
  workload,
} from './agents.ts';
import { BUDGET, suspendsInStorm } from './budget.ts';
import { type Cluster, startCluster, until } from './cluster.ts';
import { makeImages } from './images.ts';
import { OTLP, startSink } from './otlp-sink.ts';
import { kill, podProcesses } from './processes.ts';
import { instanceOf } from './teardown.ts';

const { FTX_CLUSTER_DIRECTORY: directory } = process.env;
assert.ok(directory, 'npm run test:cluster starts these tests');
const INSTANCE = instanceOf(directory);
const CALLS = 50_000;
const SLOW_CALLS = 200;
/**
 * Time from the agent's log line that it serves until its pod is ready: the period of the readiness probe, and a little
 * more.
 */
const MOST_SECONDS_TO_READY = 7;
const COUNTING = { probes: { syscalls: { include: [RARE] } } };

/** Files of tracefs that belong to the whole machine and that a tracer at the top level changes. */
const topLevel = () =>
  ['current_tracer', 'tracing_on', 'trace_clock', 'tracing_cpumask', 'set_event', 'buffer_size_kb'].map(
    (file) => `${file} ${readFileSync(join(TRACEFS, file), 'utf8').trim()}`,
  );
const ourInstances = () =>
  readdirSync(join(TRACEFS, 'instances')).filter((name) => name.startsWith(INSTANCE));

let failed = '';

/** A test that continues where the one before ended; it is not tried after a failure. */
function step(name: string, run: (t: TestContext) => void | Promise<void>): void {
  it(name, async (t) => {
    assert.equal(failed, '', `not tried, because this failed: ${failed}`);
    failed = name;
    await run(t);
    failed = '';
  });
}

const busy = await topLevelTurn();

describe('a cluster of one node', () => {
  let cluster: Cluster;
  let agents: Agents;
  let image = { registry: '', repository: '', tag: '', pullPolicy: 'Never' };
  let tag = '';
  let spans: ReturnType<typeof startSink>;
  let disk = '';
  let untouched: string[] = [];

  const release = (config: object, values: Values = {}): Values => ({
    image,
    terminationGracePeriodSeconds: 5,
    ...values,
    config: { instance: INSTANCE, ...config },
  });
  const helm = (args: readonly string[], values?: Values) => {
    const { status, output } = cluster.helm(args, values);
    assert.equal(status, 0, `helm ${args.join(' ')}: ${output}`);
    return output;
  };
  /** Upgrades the release and waits for pods with that config. */
  const upgrade = async (config: object, values: Values = {}) => {
    helm(['upgrade', 'main', CHART], release(config, values));
    return agents.ready();
  };
  const assertCounts = async (pod: Pod) => assert.equal(await exactly(pod), CALLS);
  /** Others may make the call too, though hardly anybody does. */
  const exactly = async (pod: Pod) => {
    let seen = 0;
    for (let tries = 0; tries < 3 && seen !== CALLS; tries++) seen = await agents.counted(pod, CALLS);
    return seen;
  };
  const noPods = () => {
    const pods = () => cluster.kubectl('get', 'pods', '--namespace=ftrace', '--output=name').output;
    return until('the pods are gone', () => (pods().includes('pod/') ? undefined : true), pods);
  };
  const restarted = (pod: Pod, restarts: number) =>
    until(
      `restart ${restarts}`,
      () => {
        const now = agents.find();
        if (now === undefined) return undefined;
        const isReady = now.status.conditions?.some(
          ({ type, status }) => type === 'Ready' && status === 'True',
        );
        return isReady && (agentStatus(now)?.restartCount ?? 0) >= restarts ? now : undefined;
      },
      () => agents.log(pod),
    );

  before(async () => {
    const images = makeImages(directory);
    tag = images.tag;
    const [, registry, repository, version] = /^([^/]+)\/(.*):(.*)$/.exec(tag) ?? [];
    image = { ...image, registry, repository, tag: version };
    untouched = topLevel();
    cluster = await startCluster(directory, images.archives);
    agents = agentsOf(cluster, 'main');
    spans = startSink(cluster);
    console.log(
      `Kubernetes ${CONTROL_PLANE.version}, containerd ${CONTAINERD.version}, helm ${HELM.version}, ${tag}`,
    );
    const labels = ['pod-security.kubernetes.io/enforce=privileged'];
    assert.equal(cluster.kubectl('create', 'namespace', 'ftrace').status, 0);
    assert.equal(cluster.kubectl('label', 'namespace', 'ftrace', ...labels).status, 0);
    await startWorkload(cluster, tag);
  });

  step('gets ready as soon as its agent is', async (t) => {
    const notes = helm(['install', 'main', CHART], release(COUNTING));
    assert.match(notes, new RegExp(`set config\\.instance there\\. This release uses\\s+${INSTANCE};`));
    const pod = await agents.ready();
    const line =
      agents
        .log(pod)
        .split('\n')
        .find((text) => text.includes('serving metrics')) ?? '';
    const servingMs = Date.parse(/ts=(\S+)/.exec(line)?.[1] ?? '');
    const ready = pod.status.conditions?.find(({ type }) => type === 'Ready');
    const seconds = (Date.parse(ready?.lastTransitionTime ?? '') - servingMs) / 1000;
    t.diagnostic(`the pod is ready ${seconds.toFixed(1)} s after its agent serves (whole seconds)`);
    assert.ok(seconds < MOST_SECONDS_TO_READY, `${seconds} s`);
  });

  step('counts what a workload does, exactly', async (t) => {
    const pod = await agents.ready();
    await assertCounts(pod);
    const scrape = agents.scrape(pod);
    assert.ok(scrape.series('ftrace_exporter_probe_up').every(({ value }) => value === 1));
    t.diagnostic(`${CALLS} calls in a pod, ${CALLS} counted`);
  });

  step('answers doctor by kubectl exec, as the notes say', async () => {
    const { status, output } = cluster.kubectl(
      ...[
        'exec',
        '--namespace=ftrace',
        'daemonset/main-ftrace-exporter',
        '--container=ftrace-exporter',
        '--',
      ],
      ...[
        'node',
        '/app/bin/ftrace-exporter.js',
        'doctor',
        '--config.file',
        '/etc/ftrace-exporter/ftrace-exporter.yaml',
      ],
    );
    assert.equal(status, 0, output);
    assert.match(output, /all enabled probes work/);
  });

  step('is upgraded, and tells whose slow operations it saw: never its own pod', async (t) => {
    const kinds = { syscalls: { threshold: '1us', include: [RARE] } };
    const before = await agents.ready();
    const pod = await upgrade({
      ...COUNTING,
      spans: { containers: true, kinds, max_traces_per_second: 1000 },
      otlp: OTLP,
    });
    assert.notEqual(pod.metadata.uid, before.metadata.uid);
    const other = await workload(cluster);
    work(cluster, SLOW_CALLS, { staysMs: 5000 });
    work(cluster, SLOW_CALLS);
    const name = `syscall ${RARE}`;
    const all = await until('a span for each call', () => {
      const pushed = spans().filter((span) => span.name === name);
      return pushed.length >= 2 * SLOW_CALLS ? pushed : undefined;
    });
    const seen = all.filter(({ resource }) => resource['k8s.pod.uid'] === other.metadata.uid);
    assert.ok(seen.length >= SLOW_CALLS, `${seen.length} of ${all.length} have the pod of the workload`);
    const container = other.status.containerStatuses?.[0].containerID?.split('//')[1];
    for (const { resource } of seen) {
      assert.equal(resource['container.id'], container);
      assert.equal(resource['k8s.pod.name'], undefined, 'the name of another pod');
    }
    assert.ok(
      spans().every(({ resource }) => resource['k8s.pod.uid'] !== pod.metadata.uid),
      'a span of its own pod',
    );
    t.diagnostic(`${seen.length} spans with container and pod of the workload, none with the agent's`);
  });

  step('names the files for markers as programs of the host find them', async (t) => {
    const line =
      agents
        .log(await agents.ready())
        .split('\n')
        .find((text) => text.includes('trace_marker')) ?? '';
    assert.match(line, new RegExp(`${TRACEFS}/instances/${INSTANCE}/trace_marker`));
    assert.doesNotMatch(line, /"\/tracing\//);
    t.diagnostic(line);
  });

  step('names containers, and one that is restarted goes on in the same series', async (t) => {
    const names = { namespace: 'default', pod: 'work', container: 'work' };
    const probes = { sched: { per_container: true }, syscalls: { include: [RARE], per_container: true } };
    const pod = await upgrade({ probes }, { host: { podLogs: join(directory, 'pod-logs') } });
    const series = () =>
      agents
        .scrape(pod)
        .series('ftrace_syscall_duration_seconds_count')
        .map(({ labels, value }) => `${JSON.stringify(labels)} ${value}`);
    const calls = () =>
      agents.scrape(pod).sum('ftrace_syscall_duration_seconds_count', { syscall: RARE, ...names });
    const workAndCount = async (atLeast: number) => {
      work(cluster, SLOW_CALLS);
      return until(
        `${atLeast} calls of ${JSON.stringify(names)}`,
        () => (calls() >= atLeast ? true : undefined),
        () => `${series().join('\n')}\n${agents.log(pod)}`,
      );
    };
    await workAndCount(SLOW_CALLS);
    const idOf = (one: Pod) => one.status.containerStatuses?.[0].containerID?.split('//')[1] ?? 'none';
    const before = idOf(await workload(cluster));
    for (const pid of podProcesses(before)) kill(pid, 'SIGKILL');
    await until('the container was restarted', () =>
      idOf(cluster.get<Pod>('pod', 'work')) === before ? undefined : true,
    );
    await workload(cluster);
    await workAndCount(2 * SLOW_CALLS);
    const waited = agents
      .scrape(pod)
      .series('ftrace_container_runqueue_wait_seconds_total')
      .map(({ labels }) => [labels.namespace, labels.pod, labels.container].join('/'));
    t.diagnostic(waited.join(' '));
    assert.equal(waited.filter((name) => name === 'default/work/work').length, 1);
  });

  step('is rolled back', async () => {
    helm(['rollback', 'main', '1']);
    const pod = await agents.ready();
    assert.deepEqual(ourInstances(), [INSTANCE]);
    assert.doesNotMatch(agents.log(pod), /trace_marker/);
    await assertCounts(pod);
  });

  step('has a profile beside', async () => {
    await upgrade(COUNTING, { profiles: { interrupts: { config: { probes: { irq: {} } } } } });
    const profile = await agents.ready('interrupts');
    assert.deepEqual(ourInstances().sort(), [INSTANCE, `${INSTANCE}-interrupts`]);
    const probes = agents.scrape(profile).series('ftrace_exporter_probe_up');
    assert.deepEqual(probes, [{ labels: { probe: 'irq' }, value: 1 }]);
    const pod = await upgrade(COUNTING);
    await until('the profile is gone', () => ourInstances().length === 1 || undefined);
    await assertCounts(pod);
  });

  step('takes a new config from its ConfigMap without a restart where the values say so', async (t) => {
    const values = { watchConfig: true };
    const before = await upgrade(COUNTING, values);
    await assertCounts(before);
    const calls = agents.scrape(before).sum('ftrace_syscall_duration_seconds_count');
    helm(
      ['upgrade', 'main', CHART],
      release({ probes: { ...COUNTING.probes, events: { count: ['sched:sched_process_exec'] } } }, values),
    );
    const fromMs = Date.now();
    // The kubelet looks at a ConfigMap about once a minute.
    await until(
      'the probe events is on',
      () => agents.scrape(before).sum('ftrace_exporter_probe_up', { probe: 'events' }) === 1 || undefined,
      () => agents.log(before),
    );
    t.diagnostic(`on after ${Math.round((Date.now() - fromMs) / 1000)} s`);
    const pod = await agents.ready();
    assert.equal(pod.metadata.uid, before.metadata.uid);
    assert.equal(agentStatus(pod)?.restartCount, 0);
    assert.ok(
      agents.scrape(pod).sum('ftrace_syscall_duration_seconds_count') >= calls,
      'a counter went back',
    );
    await assertCounts(pod);
  });

  step('keeps its budget in a storm: suspends the probe, says so, stays ready, resumes it', async (t) => {
    const probes = { ...COUNTING.probes, sched: { essential: true } };
    const pod = await upgrade({ probes, budget: BUDGET });
    await suspendsInStorm({ cluster, agents, pod, probe: 'syscalls', essential: 'sched' }, t);
    // So few calls that the budget allows them.
    assert.equal(await agents.counted(pod, SLOW_CALLS), SLOW_CALLS);
    await assertCounts(await upgrade(COUNTING));
  });

  step('comes back after SIGKILL', async () => {
    const pod = await agents.ready();
    assert.ok(agents.kill(pod, 'SIGKILL'));
    await assertCounts(await restarted(pod, 1));
    assert.deepEqual(ourInstances(), [INSTANCE]);
  });

  step('comes back after it was killed for its memory', async (t) => {
    helm(
      ['upgrade', 'main', CHART],
      release(COUNTING, { resources: { requests: { memory: '40Mi' }, limits: { memory: '40Mi' } } }),
    );
    const killed = await until('killed for its memory', () => {
      const pod = agents.find();
      return pod && agentStatus(pod)?.lastState.terminated?.reason === 'OOMKilled' ? pod : undefined;
    });
    t.diagnostic(`${killed.metadata.name}: OOMKilled with 40Mi`);
    await assertCounts(await upgrade(COUNTING));
  });

  step('comes back after a crash of the node, with what runs on it', async (t) => {
    const pod = await agents.ready();
    await cluster.crash();
    const now = await restarted(pod, 1);
    assert.equal(now.metadata.uid, pod.metadata.uid);
    await workload(cluster);
    await assertCounts(now);
    t.diagnostic('kubelet, containerd and all pods killed at once; the agent is ready again, and counts');
  });

  step('says why it does not come up where tracefs is not mounted, and comes up when it is', async (t) => {
    const { status, output } = cluster.run('umount', TRACEFS);
    assert.equal(status, 0, output);
    cluster.kubectl('delete', 'pod', '--namespace=ftrace', '--all', '--wait=true');
    const reason = `${TRACEFS}/instances is not a directory`;
    const described = () => cluster.kubectl('describe', 'pods', '--namespace=ftrace').output;
    await until('the reason', () => described().includes(reason) || undefined, described);
    t.diagnostic(
      described()
        .split('\n')
        .find((line) => line.includes(reason))
        ?.trim() ?? '',
    );

    // With the journal the whole of tracefs is mounted, and the agent logs that.
    helm(['upgrade', 'main', CHART], release(COUNTING, { host: { journal: 'always' } }));
    const log = () => {
      const pod = agents.find();
      return pod === undefined ? '' : agents.log(pod);
    };
    const line = () =>
      log()
        .split('\n')
        .find((text) => /cannot use tracefs at \/tracing: .*tracefs is not mounted/.test(text));
    t.diagnostic(await until('the reason in the log', line, described));

    assert.equal(cluster.run('mount', '-t', 'tracefs', 'nodev', TRACEFS).status, 0);
    await assertCounts(await upgrade(COUNTING));
  });

  step('has a second release only with an instance of its own', async (t) => {
    const second = agentsOf(cluster, 'second');
    helm(['install', 'second', CHART], release(COUNTING));
    const refusal = () => {
      const pod = second.find();
      return (
        pod &&
        second
          .log(pod)
          .split('\n')
          .find((text) => text.includes('EBUSY'))
      );
    };
    t.diagnostic(await until('the second is refused', refusal));
    helm(['upgrade', 'second', CHART], release({ ...COUNTING, instance: `${INSTANCE}-second` }));
    await second.ready();
    await assertCounts(await agents.ready());
    helm(['uninstall', 'second', '--wait']);
    await until('its instance is gone', () => ourInstances().length === 1 || undefined);
  });

  step('refuses a surge, with the reason', () => {
    const values = release(COUNTING, { updateStrategy: { rollingUpdate: { maxSurge: 1 } } });
    const { status, output } = cluster.helm(['upgrade', 'main', CHART], values);
    assert.notEqual(status, 0);
    assert.match(output, /a new pod cannot start beside the old one, which holds the tracing instance/);
  });

  describe('a tracer of the whole machine', { skip: busy ?? false }, () => {
    before(() => {
      const file = join(directory, 'disk.img');
      execFileSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', 'count=8', 'status=none']);
      disk = basename(execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim());
    });

    const isTraced = () =>
      [
        readFileSync(join(TRACEFS, 'current_tracer'), 'utf8'),
        readFileSync(`/sys/block/${disk}/trace/enable`, 'utf8'),
      ]
        .map((text) => text.trim())
        .join();
    const journal = () => readdirSync(cluster.hostPath('/run/ftrace-exporter'));
    const switchOn = async () => {
      const pod = await upgrade({ probes: { ...COUNTING.probes, blk: { devices: [disk] } } });
      assert.equal(isTraced(), 'blk,1', agents.log(pod));
      assert.deepEqual(journal(), [`${INSTANCE}.journal.json`]);
      return pod;
    };
    const assertUndone = () => {
      assert.deepEqual([isTraced(), journal(), topLevel()], ['nop,0', [], untouched]);
    };

    step('is ended when it is switched off while its agent is down', async (t) => {
      await switchOn();
      // Until the kubelet waits before it restarts the agent.
      const waiting = await until('the agent is down', () => {
        const pod = agents.find();
        const status = pod && agentStatus(pod);
        if (pod && status?.state.running) agents.kill(pod, 'SIGKILL');
        return status?.state.waiting?.reason;
      });
      assert.equal(isTraced(), 'blk,1');
      const pod = await upgrade(COUNTING);
      assertUndone();
      assert.deepEqual(ourInstances(), [INSTANCE]);
      await assertCounts(pod);
      t.diagnostic(
        `blk at the top level, agent down (${waiting}), config without blk: ${isTraced()}, no journal`,
      );
    });

    step('is ended when the release is rolled back while its agent hangs', async () => {
      const pod = await switchOn();
      assert.ok(agents.kill(pod, 'SIGSTOP'));
      helm(['rollback', 'main']);
      await agents.ready();
      assertUndone();
    });

    step('is ended when the release is removed while its agent hangs, and nothing is left', async (t) => {
      const pod = await switchOn();
      assert.ok(agents.kill(pod, 'SIGSTOP'));
      helm(['uninstall', 'main']);
      await noPods();
      assertUndone();
      assert.deepEqual(ourInstances(), []);
      t.diagnostic(`removed while the agent was stopped: ${isTraced()}, instances of it: none`);
    });
  });

  step('is cleaned up after by kubectl debug, as the docs say', async (t) => {
    helm(['upgrade', '--install', 'main', CHART], release(COUNTING));
    const pod = await agents.ready();
    assert.ok(agents.kill(pod, 'SIGSTOP'));
    helm(['uninstall', 'main']);
    await noPods();
    assert.deepEqual(ourInstances(), [INSTANCE]);
    const debug = () =>
      cluster.kubectl(
        ...['debug', 'node/node', '--profile=sysadmin', `--image=${tag}`, '--attach=true', '--quiet'],
        ...[
          `--env=FTRACE_EXPORTER_INSTANCE=${INSTANCE}`,
          '--',
          'node',
          '/app/bin/ftrace-exporter.js',
          'cleanup',
        ],
        ...['--path.tracefs=/host/sys/kernel/tracing', '--state.dir=/host/run/ftrace-exporter'],
      ).output;
    t.diagnostic(debug());
    await until('its instance is gone', () => (ourInstances().length === 0 ? true : undefined));
    assert.deepEqual(topLevel(), untouched);
  });
});
