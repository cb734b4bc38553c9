/**
 * A network and a mount namespace for one cluster. What a kubelet and containerd write to /run, /var/lib and /var/log
 * goes to the cluster's directory, so it does not reach the machine. Process ids and cgroups are the machine's.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '../e2e/containers.ts';

/** In the environment of every process that is started inside, and of their children. */
export const MARK = 'FTRACE_EXPORTER_TEST_CLUSTER';
/** An address of a network that is reserved for documentation, so nobody uses it. */
export const NODE_ADDRESS = '192.0.2.10';
const REDIRECTED = ['/run', '/var/lib', '/var/log'];

export interface Namespaces {
  /** `nsenter` with its arguments; a program that follows runs inside. */
  readonly enter: readonly string[];
  /** Runs a program inside, to its end. */
  run(program: string, ...args: string[]): Outcome;
  /** Starts a program that goes on, with its output in `NAME.log`. Returns its process id. */
  start(name: string, program: string, ...args: string[]): number;
  /** Where a path of the cluster's node is on this machine. */
  hostPath(path: string): string;
}

export async function openNamespaces(directory: string, programs: string): Promise<Namespaces> {
  const env = { ...process.env, [MARK]: directory, PATH: `${programs}:${process.env.PATH}:/usr/sbin:/sbin` };
  const holder = spawn('unshare', ['--net', '--mount', '--propagation=private', 'sleep', 'infinity'], {
    detached: true,
    stdio: 'ignore',
    env,
  });
  const { pid } = holder;
  assert.ok(pid !== undefined, 'unshare is missing: apt-get install util-linux');
  holder.unref();
  writeFileSync(join(directory, 'holder.pid'), String(pid));
  for (let tries = 0; !isReady(pid); tries++) {
    assert.ok(tries < 500 && holder.exitCode === null, 'unshare makes no namespaces here');
    await sleep(10);
  }

  const enter = ['nsenter', `--target=${pid}`, '--net', '--mount', `--wd=${directory}`, '--'];
  const [nsenter, ...into] = enter;
  const run = (program: string, ...args: string[]): Outcome => {
    const done = spawnSync(nsenter, [...into, program, ...args], {
      encoding: 'utf8',
      env,
      maxBuffer: 64 << 20,
    });
    if (done.error !== undefined) return { status: null, output: done.error.message };
    return { status: done.status, output: done.stdout + done.stderr };
  };
  const hostPath = (path: string) => {
    const isRedirected = REDIRECTED.some((one) => path === one || path.startsWith(`${one}/`));
    return isRedirected ? join(directory, 'host', path) : path;
  };
  const redirect = REDIRECTED.map((path) => {
    mkdirSync(hostPath(path), { recursive: true });
    return `mount --bind ${hostPath(path)} ${path}`;
  });
  const made = run('sh', '-ec', [...redirect, 'mount --make-rshared /', ...NETWORK].join('\n'));
  assert.equal(made.status, 0, made.output);

  return {
    enter,
    run,
    start: (name, program, ...args) => {
      const log = openSync(join(directory, `${name}.log`), 'a');
      const child = spawn(nsenter, [...into, program, ...args], { env, stdio: ['ignore', log, log] });
      assert.ok(child.pid !== undefined);
      child.unref();
      return child.pid;
    },
    hostPath,
  };
}

/** Not every kernel has dummy devices. A pair of veth is enough for an address. */
const NETWORK = [
  'ip link set lo up',
  'ip link add node0 type veth peer name node1',
  `ip addr add ${NODE_ADDRESS}/24 dev node0`,
  'ip link set node1 up',
  'ip link set node0 up',
  'ip route add default dev node0',
  'echo 1 >/proc/sys/net/ipv4/ip_forward',
];

function isReady(pid: number): boolean {
  try {
    // The process becomes sleep once it has its namespaces.
    return (
      readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sleep' &&
      readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net')
    );
  } catch {
    return false;
  }
}
