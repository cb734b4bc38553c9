/**
 * A systemd for one test, started by private-systemd.sh, with the files of deploy/systemd and the program that `npm
 * pack` makes, installed at /opt as docs/systemd.md says. Everything that it starts ends with the test.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Bench } from '../support/agent.ts';

const SCRIPT = fileURLToPath(new URL('private-systemd.sh', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const SHIPPED = join(ROOT, 'deploy/systemd');
const START_TIMEOUT_MS = 30_000;
/** Targets that services depend on by default. Here they have nothing to do. */
const TARGETS = ['test', 'sysinit', 'basic', 'network', 'shutdown'];
/** Writes the service's output to a file, because there is no journal here. This is the only change to the unit. */
const LOG = '[Service]\nStandardOutput=append:/run/log/service\nStandardError=append:/run/log/service\n';

export interface PrivateSystemd {
  /** `/etc/ftrace-exporter` of its services. */
  etc: string;
  /** Whether its control group has this controller: `memory`, `pids`. */
  controls(controller: string): boolean;
  /** Runs a program in the namespaces of its services. */
  run(...command: string[]): { status: number | null; output: string };
  /** Value of a property of the service. */
  show(property: string): string;
  /** What the service has written since the last call. */
  log(): string;
  /** Writes a drop-in of the service, or removes it. */
  dropIn(name: string, text: string | undefined): void;
}

/** Installs the packed program below `bench`, and waits for systemd. */
export async function startSystemd(bench: Bench): Promise<PrivateSystemd> {
  const directory = join(bench.directory, 'systemd');
  for (const name of ['log', 'etc', 'opt', 'units/ftrace-exporter.service.d'])
    mkdirSync(join(directory, name), { recursive: true });
  install(bench.directory, join(directory, 'opt/ftrace-exporter'));
  for (const name of ['environment', 'ftrace-exporter.yaml'])
    cpSync(join(SHIPPED, name), join(directory, 'etc', name));
  for (const name of TARGETS)
    writeFileSync(join(directory, `units/${name}.target`), '[Unit]\nDefaultDependencies=no\n');
  cpSync(join(SHIPPED, 'ftrace-exporter.service'), join(directory, 'units/ftrace-exporter.service'));
  writeFileSync(join(directory, 'units/ftrace-exporter.service.d/log.conf'), LOG);
  for (const name of ['console', 'service']) writeFileSync(join(directory, 'log', name), '');

  const cgroup = join(mountedCgroup(), `ftx-systemd-${process.pid}`);
  mkdirSync(cgroup);
  const child = spawn('bash', [SCRIPT, directory, cgroup], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  bench.atEnd(() => {
    child.kill('SIGKILL');
    removeCgroups(cgroup);
  });

  let pid = '';
  const run = (...command: string[]) => {
    const { status, stdout, stderr } = spawnSync(
      'nsenter',
      [`--target=${pid}`, '--mount', '--pid', '--ipc', '--uts', '--cgroup', ...command],
      { encoding: 'utf8' },
    );
    return { status, output: stdout + stderr };
  };
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    pid = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
    if (pid !== '' && run('systemctl', 'is-active', 'test.target').output.trim() === 'active') break;
    const console = readFileSync(join(directory, 'log/console'), 'utf8');
    assert.equal(child.exitCode, null, `no systemd can be started here:\n${stderr}${console}`);
    assert.ok(performance.now() < deadline, `systemd did not become ready:\n${stderr}${console}`);
    await sleep(100);
  }
  let read = 0;
  return {
    etc: join(directory, 'etc'),
    controls: (controller) =>
      readFileSync(join(cgroup, 'cgroup.controllers'), 'utf8').split(/\s+/).includes(controller),
    run,
    show: (property) =>
      run('systemctl', 'show', `--property=${property}`, '--value', 'ftrace-exporter').output.trim(),
    log: () => {
      const text = readFileSync(join(directory, 'log/service'), 'utf8');
      const fresh = text.slice(read);
      read = text.length;
      return fresh;
    },
    dropIn: (name, text) => {
      const file = `/run/units/ftrace-exporter.service.d/${name}`;
      const command = text === undefined ? `rm -f ${file}` : `printf %s "$1" >${file}`;
      const made = run('sh', '-c', command, 'sh', text ?? '');
      assert.equal(made.status, 0, made.output);
      assert.equal(run('systemctl', 'daemon-reload').status, 0);
    },
  };
}

function install(directory: string, prefix: string): void {
  const npm = (...args: string[]) =>
    execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' });
  const packed = npm('pack', '--silent', `--pack-destination=${directory}`).trim().split('\n').at(-1) ?? '';
  npm('install', '--global', '--prefix', prefix, '--prefer-offline', join(directory, packed));
}

/** Where control groups of version 2 are mounted. */
function mountedCgroup(): string {
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, dir, type] = line.split(' ');
    if (type === 'cgroup2') return dir;
  }
  throw new Error('control groups of version 2 are mounted nowhere: mount -t cgroup2 none /sys/fs/cgroup');
}

/** A group can be removed once its last process has left, which takes a moment. */
function removeCgroups(cgroup: string, tries = 50): void {
  try {
    for (const entry of readdirSync(cgroup, { withFileTypes: true }))
      if (entry.isDirectory()) removeCgroups(join(cgroup, entry.name), tries);
    rmdirSync(cgroup);
  } catch (error) {
    if (!existsSync(cgroup)) return;
    if (tries === 0) throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    removeCgroups(cgroup, tries - 1);
  }
}
