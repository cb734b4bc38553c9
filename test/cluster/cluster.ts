/**
 * A Kubernetes of one node on this machine, in namespaces of its own: etcd, the control plane, a kubelet and containerd. Its
 * pods run on the machine's kernel, and share its tracefs. `run.ts` removes what it leaves.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { helm, type Values } from '../e2e/chart.ts';
import type { Outcome } from '../e2e/containers.ts';
import { apiServerFlags, etcdFlags, writeCredentials, writeKubeconfig } from '../e2e/control-plane.ts';
import { CONTAINERD, CONTROL_PLANE, CTR, goProgram, SHIM } from '../e2e/go-program.ts';
import { type Namespaces, NODE_ADDRESS, openNamespaces } from './namespaces.ts';
import { writeNodeFiles } from './node-files.ts';
import { kill, podProcesses, shims } from './processes.ts';

const NODE = 'node';
const [ETCD_PORT, ETCD_PEER_PORT, API_PORT] = [2379, 2380, 6443];
/** A busy machine takes several times as long as an idle one. */
const PATIENCE_MS = 120_000;

export interface Cluster extends Namespaces {
  directory: string;
  kubectl(...args: string[]): Outcome;
  /** What kubectl prints, parsed as JSON. Fails with kubectl's words if it cannot. */
  get<T>(...args: string[]): T;
  /** Helm with the namespace of the tests. */
  helm(args: readonly string[], values?: Values): Outcome;
  /** Kills kubelet, containerd and every process of a pod at once, as a power failure does, and starts both again. */
  crash(): Promise<void>;
}

/** Waits until `look` returns a value. Fails with `what` and the last reason. */
export async function until<T>(what: string, look: () => T | undefined, reason = () => ''): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = look();
    if (seen !== undefined) return seen;
    assert.ok(performance.now() < deadline, `${what}: waited ${PATIENCE_MS / 1000} s in vain\n${reason()}`);
    await sleep(250);
  }
}

/** `images` are archives for `ctr images import`. */
export async function startCluster(directory: string, images: readonly string[]): Promise<Cluster> {
  const programs = join(directory, 'bin');
  mkdirSync(programs);
  const links = {
    containerd: CONTAINERD,
    'containerd-shim-runc-v2': SHIM,
    ctr: CTR,
    kubernetes: CONTROL_PLANE,
  };
  for (const [name, program] of Object.entries(links)) symlinkSync(goProgram(program), join(programs, name));
  const namespaces = await openNamespaces(directory, programs);
  const { run, start } = namespaces;
  const files = writeNodeFiles(directory);
  const kubeconfig = (user: string) => join(directory, `${user}.conf`);
  const kubectl = (...args: string[]) =>
    run('kubernetes', 'kubectl', `--kubeconfig=${kubeconfig('admin')}`, ...args);
  const logs = (...names: string[]) =>
    names.map((name) => readFileSync(join(directory, `${name}.log`), 'utf8').slice(-2000)).join('\n');

  const node = { containerd: 0, kubelet: 0 };
  const startContainerd = () => {
    node.containerd = start('containerd', 'containerd', '--config', files.containerd);
  };
  const startKubelet = () => {
    node.kubelet = start(
      'kubelet',
      ...['kubernetes', 'kubelet', `--config=${files.kubelet}`, `--kubeconfig=${kubeconfig('node')}`],
      ...[`--root-dir=${join(directory, 'kubelet')}`, `--cert-dir=${join(directory, 'kubelet', 'pki')}`],
      ...[`--hostname-override=${NODE}`, `--node-ip=${NODE_ADDRESS}`, '-v=2'],
    );
  };
  const ctr = (...args: string[]) => run('ctr', `--address=${files.socket}`, '--namespace=k8s.io', ...args);

  // A kubelet that finds no containerd ends.
  const containerdAnswers = () =>
    until(
      'containerd',
      () => ctr('version').status === 0 || undefined,
      () => logs('containerd'),
    );

  startContainerd();
  startControlPlane(directory, start, kubeconfig);
  await containerdAnswers();
  for (const image of images) {
    const { status, output } = ctr('images', 'import', image);
    assert.equal(status, 0, output);
  }
  await until(
    'the API server',
    () => kubectl('get', '--raw', '/readyz').status === 0 || undefined,
    () => logs('etcd', 'kube-apiserver'),
  );
  startManagers(directory, start, kubeconfig);
  startKubelet();
  const isReady = () => {
    const { status, output } = kubectl(
      'get',
      'node',
      NODE,
      '--output=jsonpath={.spec.taints}{.status.conditions[-1:].status}',
    );
    return (status === 0 && output === 'True') || undefined;
  };
  await until('the node is ready', isReady, () => logs('kubelet', 'kube-controller-manager'));
  const account = () => kubectl('get', 'serviceaccount', 'default').status === 0 || undefined;
  await until('the default service account', account, () => logs('kube-controller-manager'));

  return {
    ...namespaces,
    directory,
    kubectl,
    get: <T>(...args: string[]) => {
      const { status, output } = kubectl('get', '--output=json', ...args);
      assert.equal(status, 0, `kubectl get ${args.join(' ')}: ${output}`);
      return JSON.parse(output) as T;
    },
    helm: (args, values) => {
      const env = { KUBECONFIG: kubeconfig('admin') };
      return helm([...args, '--namespace', 'ftrace'], values, env, namespaces.enter);
    },
    crash: async () => {
      for (const pid of [node.kubelet, node.containerd, ...shims(directory), ...podProcesses()])
        kill(pid, 'SIGKILL');
      startContainerd();
      await containerdAnswers();
      startKubelet();
    },
  };
}

type Start = Namespaces['start'];

function startControlPlane(directory: string, start: Start, kubeconfig: (user: string) => string): void {
  const users = {
    admin: 'admin,admin,system:masters',
    manager: 'system:kube-controller-manager,manager,',
    scheduler: 'system:kube-scheduler,scheduler,',
    node: `system:node:${NODE},node,system:nodes`,
  };
  writeCredentials(
    directory,
    Object.entries(users).map(([name, user]) => `token-${name},${user}`),
  );
  for (const name of Object.keys(users)) writeKubeconfig(kubeconfig(name), API_PORT, `token-${name}`);
  start('etcd', 'kubernetes', 'etcd', ...etcdFlags(directory, ETCD_PORT, ETCD_PEER_PORT));
  start(
    'kube-apiserver',
    ...['kubernetes', 'kube-apiserver', ...apiServerFlags(directory, ETCD_PORT, API_PORT)],
    ...[
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
    ],
    ...['--service-cluster-ip-range=203.0.113.0/24', `--advertise-address=${NODE_ADDRESS}`],
    '--kubelet-preferred-address-types=InternalIP',
  );
}

function startManagers(directory: string, start: Start, kubeconfig: (user: string) => string): void {
  const flags = (user: string) => [
    ...['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
      (flag) => `--${flag}=${kubeconfig(user)}`,
    ),
    ...['--authentication-skip-lookup=true', '--leader-elect=false', '--bind-address=127.0.0.1'],
    `--cert-dir=${join(directory, user)}`,
  ];
  start(
    'kube-controller-manager',
    ...['kubernetes', 'kube-controller-manager', ...flags('manager')],
    `--service-account-private-key-file=${join(directory, 'sa.key')}`,
    `--root-ca-file=${join(directory, 'certs', 'apiserver.crt')}`,
    // The deployment's own user may not remove the taint of a node that was not ready yet.
    '--use-service-account-credentials=true',
  );
  start('kube-scheduler', 'kubernetes', 'kube-scheduler', ...flags('scheduler'));
}
