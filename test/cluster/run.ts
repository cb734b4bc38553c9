/**
 * `npm run test:cluster`: runs the tests in a cluster of one node on this machine and removes the cluster afterwards,
 * also if it is interrupted. If a run was killed by SIGKILL, the next one removes what it left. Exits with 1 if
 * anything is left. With `--if-built` it builds nothing; if Kubernetes is not built, it says so.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../src/model/errors.ts';
import { CONTAINERD, CONTROL_PLANE, CTR, goProgram, HELM, isBuilt, SHIM } from '../e2e/go-program.ts';
import { TRACEFS } from '../support/agent.ts';
import { removeLeftovers } from '../support/leftovers.ts';
import { whyNotTraceable } from '../support/traceable.ts';
import { clusterProcesses, podProcesses } from './processes.ts';
import {
  abandonedClusters,
  clusterDirectory,
  instanceOf,
  kubeletCgroups,
  removeCluster,
} from './teardown.ts';

/** Programs, and the Debian packages that contain them. */
const NEEDED: Record<string, string> = {
  '/usr/sbin/runc': 'runc',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  '/usr/bin/buildah': 'buildah',
  '/bin/busybox': 'busybox-static',
  '/usr/bin/nsenter': 'util-linux',
  '/bin/ip': 'iproute2',
};

function whyNot(): string | undefined {
  const reason = whyNotTraceable();
  if (reason !== undefined) return `the kernel of this machine cannot be traced: ${reason}`;
  const missing = Object.entries(NEEDED).filter(([file]) => !existsSync(file));
  if (missing.length > 0) return `apt-get install ${missing.map(([, name]) => name).join(' ')}`;
  try {
    for (const program of [CONTROL_PLANE, CONTAINERD, SHIM, CTR, HELM]) goProgram(program);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** What a cluster has on the machine. */
function leftOf(directory: string): string[] {
  const instances = readdirSync(join(TRACEFS, 'instances'));
  return [
    ...(existsSync(directory) ? [directory] : []),
    ...kubeletCgroups(),
    ...instances.filter((name) => name.startsWith(instanceOf(directory))).map((name) => `instance ${name}`),
    ...[...clusterProcesses(directory), ...podProcesses()].map((pid) => `process ${pid}`),
  ];
}

if (process.argv.includes('--if-built') && !isBuilt(CONTROL_PLANE)) {
  const { version } = CONTROL_PLANE;
  console.log(
    `TESTS IN A CLUSTER NOT RUN: Kubernetes ${version} is not built; npm run test:cluster builds it`,
  );
  process.exit(0);
}
const reason = whyNot();
if (reason !== undefined) {
  console.error(`\nTESTS IN A CLUSTER NOT RUN: ${reason}\n`);
  process.exit(process.env.CI ? 1 : 0);
}
removeLeftovers();
for (const abandoned of abandonedClusters()) {
  console.log(`removing ${abandoned}, whose run was killed`);
  await removeCluster(abandoned);
}
if (kubeletCgroups().length > 0) {
  console.error(`\nTESTS IN A CLUSTER NOT RUN: a kubelet runs here: ${kubeletCgroups()[0]} exists\n`);
  process.exit(1);
}

const directory = clusterDirectory();
mkdirSync(directory);
const tests = spawn(
  process.execPath,
  [
    ...['--test', '--test-isolation=none', ...process.argv.filter((arg) => arg.startsWith('--test-'))],
    new URL('cluster.test.ts', import.meta.url).pathname,
  ],
  {
    env: { ...process.env, FTX_CLUSTER_DIRECTORY: directory },
    stdio: 'inherit',
  },
);
let interrupted: NodeJS.Signals | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    interrupted ??= signal;
    // The cluster is removed in any case.
    tests.kill('SIGKILL');
  });
const status = await new Promise<number>((resolve) => tests.on('exit', (code) => resolve(code ?? 1)));
if (interrupted !== undefined) console.log(`${interrupted}: removing the cluster`);
await removeCluster(directory);
const remains = leftOf(directory);
console.log(
  remains.length === 0 ? 'the cluster is gone: nothing of it is left' : `LEFT: ${remains.join(', ')}`,
);
process.exitCode = remains.length > 0 || interrupted !== undefined ? 1 : status;
