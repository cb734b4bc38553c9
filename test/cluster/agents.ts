/** The agents in a cluster, for tests: their pods, processes and metrics, and work that they must count. */
import assert from 'node:assert/strict';
import { parseScrape, type Scrape } from '../support/agent.ts';
import { type Cluster, until } from './cluster.ts';
import { commandOf, kill, podProcesses } from './processes.ts';

export interface Pod {
  metadata: { name: string; uid: string; labels: Record<string, string>; deletionTimestamp?: string };
  status: {
    phase: string;
    podIP?: string;
    conditions?: { type: string; status: string; lastTransitionTime: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

interface ContainerStatus {
  name: string;
  containerID?: string;
  restartCount: number;
  state: { running?: { startedAt: string }; waiting?: { reason: string } };
  lastState: { terminated?: { reason: string; exitCode: number } };
}

export interface Agents {
  /** The pod of a DaemonSet that is not being deleted, if it exists. */
  find(component?: string): Pod | undefined;
  /** Waits until the rollout is over and the pod is ready. */
  ready(component?: string): Promise<Pod>;
  log(pod: Pod): string;
  scrape(pod: Pod): Scrape;
  get(pod: Pod, path: string): unknown;
  /** Sends a signal to its agent; returns false if the agent has ended. */
  kill(pod: Pod, signal: NodeJS.Signals): boolean;
  /** Makes calls that nobody else makes, from a pod of their own. Returns how often the agent has seen them. */
  counted(pod: Pod, times: number): Promise<number>;
}

/** A system call that hardly any program makes: `lchown`. */
export const RARE = 'lchown';

export const agentStatus = ({ status }: Pod): ContainerStatus | undefined =>
  status.containerStatuses?.find(({ name }) => name === 'ftrace-exporter');

export function agentsOf(cluster: Cluster, release: string): Agents {
  const { kubectl, run } = cluster;
  const selector = (component: string) =>
    `app.kubernetes.io/instance=${release},app.kubernetes.io/component=${component}`;

  const find = (component = 'agent') =>
    cluster
      .get<{ items: Pod[] }>('pods', '--namespace=ftrace', `--selector=${selector(component)}`)
      .items.find(({ metadata }) => metadata.deletionTimestamp === undefined);

  const describe = () => kubectl('describe', 'pods', '--namespace=ftrace').output.slice(-3000);

  const ready = async (component = 'agent') => {
    const name = kubectl(
      'get',
      'daemonset',
      '--namespace=ftrace',
      `--selector=${selector(component)}`,
      '--output=name',
    );
    const rollout = kubectl('rollout', 'status', '--namespace=ftrace', name.output.trim(), '--timeout=120s');
    assert.equal(rollout.status, 0, `${rollout.output}${describe()}`);
    const isReady = () => {
      const pod = find(component);
      const isTrue = pod?.status.conditions?.some(
        ({ type, status }) => type === 'Ready' && status === 'True',
      );
      return isTrue ? pod : undefined;
    };
    return until(`${component} is ready`, isReady, describe);
  };

  const fetched = (pod: Pod, path: string) => {
    const script = `fetch('http://${pod.status.podIP}:10743${path}').then((a) => a.text()).then((t) => process.stdout.write(t))`;
    const { status, output } = run(process.execPath, '-e', script);
    assert.equal(status, 0, output);
    return output;
  };
  const scrape = (pod: Pod) => parseScrape(fetched(pod, '/metrics'));

  return {
    find,
    ready,
    log: (pod) =>
      kubectl('logs', '--namespace=ftrace', pod.metadata.name, '--container=ftrace-exporter').output,
    scrape,
    get: (pod, path) => JSON.parse(fetched(pod, path)),
    kill: (pod, signal) => {
      const id = agentStatus(pod)?.containerID?.split('//')[1] ?? 'none';
      const agentPid = podProcesses(id).find((pid) => commandOf(pid).includes('ftrace-exporter.js'));
      if (agentPid !== undefined) kill(agentPid, signal);
      return agentPid !== undefined;
    },
    counted: async (pod, times) => {
      const count = () => scrape(pod).sum('ftrace_syscall_duration_seconds_count', { syscall: RARE });
      const before = count();
      work(cluster, times);
      let last = -1;
      const settled = () => {
        const now = count();
        const isSame = now === last;
        last = now;
        return isSame ? now : undefined;
      };
      return (await until('the count stands still', settled)) - before;
    },
  };
}

/** Starts the pod that makes the calls; `image` must contain Node. */
export async function startWorkload(cluster: Cluster, image: string): Promise<Pod> {
  const [flags, command] = [
    ['--image-pull-policy=Never', '--restart=Always'],
    ['node', '-e', 'setInterval(() => {}, 1e6)'],
  ];
  const made = cluster.kubectl('run', 'work', `--image=${image}`, ...flags, '--command', '--', ...command);
  assert.equal(made.status, 0, made.output);
  return workload(cluster);
}

export async function workload(cluster: Cluster): Promise<Pod> {
  const find = () => {
    const pod = cluster.get<Pod>('pod', 'work');
    return pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
      ? pod
      : undefined;
  };
  return until('the workload runs', find);
}

/** Makes the calls in a process that stays for this long afterwards. */
export function work(cluster: Cluster, times: number, { staysMs = 0 } = {}): void {
  const script = `const { lchownSync } = require('node:fs'); for (let i = 0; i < ${times}; i++) lchownSync('/', 0, 0);
    setTimeout(() => {}, ${staysMs})`;
  const { status, output } = cluster.kubectl('exec', 'work', '--', 'node', '-e', script);
  assert.equal(status, 0, output);
}
