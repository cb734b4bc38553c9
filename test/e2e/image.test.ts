/**
 * Builds and runs the container image. Checks its content; that it serves live metrics without a capability, with a
 * read-only root and tracefs at /tracing; and that it counts the same as a root process beside it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, needTool, type Scrape, settled, TRACEFS } from '../support/agent.ts';
import { skipWithout } from '../support/tools.ts';
import { topLevelTurn } from '../support/top-level.ts';
import { watch } from '../support/witness.ts';
import {
  buildImage,
  type Container,
  type Engine,
  engineFor,
  outcomeOf,
  removeImage,
  withRootOf,
} from './containers.ts';

const bench = makeBench('image');
const CALLS = 100_000;
const WRITES = 300;
const WRITE_BYTES = 16 << 10;
const DISK_BYTES = 16 << 20;
const ARCH = process.arch === 'arm64' ? 'arm64' : 'amd64';

interface LockFile {
  packages: Record<string, { version?: string; dev?: boolean; optional?: boolean; devOptional?: boolean }>;
}

/** Paths of the production packages in the lock file. */
function lockedPackages(): string[] {
  const file = new URL('../../package-lock.json', import.meta.url);
  const { packages } = JSON.parse(readFileSync(file, 'utf8')) as LockFile;
  return Object.entries(packages)
    .filter(([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional)
    .map(([path]) => path)
    .sort();
}

/** Packages below a node_modules directory, by their paths from its parent. */
function installedPackages(directory: string, prefix = 'node_modules'): string[] {
  const below = join(directory, prefix);
  if (!existsSync(below)) return [];
  const names = readdirSync(below).flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(below, name)).map((inner) => `${name}/${inner}`) : [name],
  );
  return names
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => [
      `${prefix}/${name}`,
      ...installedPackages(directory, `${prefix}/${name}/node_modules`),
    ])
    .sort();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

/** A disk that nobody else uses. */
function makeDisk(): string {
  needTool('losetup', 'mount');
  const image = join(bench.directory, 'disk.img');
  execFileSync('dd', ['if=/dev/zero', `of=${image}`, 'bs=1M', `count=${DISK_BYTES >> 20}`, 'status=none']);
  const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  bench.atEnd(() => execFileSync('losetup', ['--detach', device]));
  return device;
}

const busy = await topLevelTurn();

describe('the container image', () => {
  let tag = '';
  let engine: Engine;

  before(() => {
    needTool('podman', 'podman');
    needTool('buildah', 'buildah');
  });
  after(() => removeImage(tag));

  it('is built by the Dockerfile', (t) => {
    const built = buildImage(ARCH, 'image');
    tag = built.tag;
    for (const line of built.said.split('\n')) t.diagnostic(line);
    assert.match(built.said, /STANDING IN for gcr\.io/);
    engine = engineFor(tag, bench);
    t.diagnostic(`containers run by ${engine.name}`);
  });

  it('holds the program and its dependencies of production, and no shell', (t) => {
    withRootOf(tag, (root) => {
      assert.deepEqual(installedPackages(join(root, 'app')), lockedPackages());
      const programs = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/local/bin', 'nodejs/bin'].flatMap(
        (directory) => (existsSync(join(root, directory)) ? readdirSync(join(root, directory)) : []),
      );
      assert.deepEqual(programs, ['node']);
      const app = readdirSync(join(root, 'app'), { recursive: true }).map(String);
      assert.deepEqual(
        app.filter((file) => /\.(ts|map)$/.test(file)),
        [],
      );
      const kib = Number(outcomeOf('du', '-sk', join(root, 'app')).output.split('\t')[0]);
      t.diagnostic(`/app is ${(kib / 1024).toFixed(1)} MiB of ${app.length} files on top of the base`);
      // 15 MiB of it are OpenTelemetry's SDK and grpc-js, which are only loaded if OTLP is configured.
      assert.ok(kib < 28 << 10, `${kib} KiB`);
    });
  });

  it('says what it is', () => {
    const [image] = JSON.parse(engine.podman('image', 'inspect', tag).output);
    const { Config, Architecture, Healthcheck } = image;
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.equal(Architecture, ARCH);
    assert.deepEqual(Config.Entrypoint, ['node', '--disable-sigusr1', '/app/bin/ftrace-exporter.js']);
    assert.equal(Config.User, '0:0');
    assert.deepEqual((Healthcheck ?? Config.Healthcheck).Test, ['CMD', 'node', '/app/healthcheck.js']);
    const label = (name: string) => Config.Labels[`org.opencontainers.image.${name}`];
    assert.equal(label('title'), 'ftrace-exporter');
    assert.equal(label('licenses'), 'Apache-2.0');
    assert.equal(label('version'), version);
    assert.match(label('created'), /^20\d\d-/);
    assert.equal(engine.once([], '--version').output.trim(), version);
  });

  it('finds the tracefs of the host, without a flag', () => {
    const { status, output } = engine.once([], 'doctor');
    assert.equal(status, 0, output);
    assert.match(output, /^tracefs\s+\/tracing$/m);
    assert.match(output, /^capabilities\s+none /m);
    assert.match(output, /all enabled probes work/);
  });

  it('counts without a capability what a root process beside it counts', async (t) => {
    const device = makeDisk();
    const disk = basename(device);
    const probes = { syscalls: { include: ['getppid'] }, block: { devices: [disk] }, sched: {} };
    const config = { probes, web: { listen_address: '127.0.0.1:0' } };
    const workload = await bench.workload(
      `const work = () => {
        for (let i = 0; i < ${CALLS}; i++) process.ppid;
        require('node:child_process').execFileSync('dd', ['if=/dev/zero', 'of=${device}', 'bs=${WRITE_BYTES}',
          'count=${WRITES}', 'oflag=direct', 'status=none']);
      };`,
    );
    const others = watch(bench, ['getppid'], { not: [workload.pid] });
    const root = await bench.start({ probes });
    const instance = bench.instanceName('c');
    const container = await engine.start(
      [`--env=FTRACE_EXPORTER_INSTANCE=${instance}`, `--volume=${writeConfig(config)}:/config.yaml:ro`],
      ...['run', '--config.file', '/config.yaml'],
    );
    const processes = engine.podman('inspect', '--format={{.State.Pid}}', container.name).output.trim();
    const status = readFileSync(`/proc/${processes}/status`, 'utf8');
    for (const [field, value] of [
      ['CapEff', '0000000000000000'],
      ['CapBnd', '0000000000000000'],
      ['NoNewPrivs', '1'],
      ['Seccomp', '2'],
    ])
      assert.match(status, new RegExp(`^${field}:\\s+${value}$`, 'm'), status);
    assert.match(readFileSync(`/proc/${root.child.pid}/status`, 'utf8'), /^CapEff:\s+0*[1-9a-f]/m);

    const counts = (scrape: Scrape) => ({
      getppid: scrape.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' }),
      writes: scrape.sum('ftrace_block_io_device_seconds_count', { device: disk, operation: 'write' }),
      bytes: scrape.sum('ftrace_block_io_bytes_total', { device: disk, operation: 'write' }),
    });
    const expected = { getppid: CALLS, writes: WRITES, bytes: WRITES * WRITE_BYTES };
    for (let attempt = 1; ; attempt++) {
      const strangersBefore = others.count();
      await sleep(300);
      const first = [await container.scrape(), await root.scrape()];
      await workload.run();
      const last = await Promise.all(
        [container, root].map((agent, i) =>
          settled(agent, (scrape) => {
            const now = difference(counts(scrape), counts(first[i]));
            return now.getppid >= CALLS && now.bytes >= expected.bytes;
          }),
        ),
      );
      const [inContainer, asRoot] = last.map((scrape, i) => difference(counts(scrape), counts(first[i])));
      const lostBy = (scrape: Scrape) => scrape.sum('ftrace_exporter_events_lost_total');
      const lost = last.map((scrape, i) => lostBy(scrape) - lostBy(first[i]));
      // Other programs may also call getppid, or leave the agents too little CPU time; then the attempt is repeated.
      const strangers = others.count() - strangersBefore;
      if ((strangers === 0 && lost.every((events) => events === 0)) || attempt === 5) {
        assert.deepEqual(lost, [0, 0]);
        assert.deepEqual(inContainer, expected);
        assert.deepEqual(asRoot, expected);
        t.diagnostic(`${engine.name}, no capabilities: ${JSON.stringify(inContainer)}`);
        t.diagnostic(`root process, all capabilities: ${JSON.stringify(asRoot)}`);
        break;
      }
      t.diagnostic(`attempt ${attempt}: ${strangers} calls by others, ${lost} events lost`);
    }
    const [waits] = [(await container.scrape()).sum('ftrace_sched_runqueue_latency_seconds_count')];
    assert.ok(waits > 0);
    others.remove();
    await workload.end();
    assert.equal(await root.stop(), 0);
    assert.equal(await container.stop(), 0, container.output());
    assert.ok(!existsSync(join(TRACEFS, 'instances', instance)), 'its instance is left');
  });

  it('does with the top level of tracefs read-only and its instances writable', async (t) => {
    const instance = bench.instanceName('i');
    const container = await engine.start([
      `--env=FTRACE_EXPORTER_INSTANCE=${instance}`,
      '--env=FTRACE_EXPORTER_WEB_LISTEN_ADDRESS=127.0.0.1:0',
      `--volume=${TRACEFS}:/tracing:ro`,
      `--volume=${TRACEFS}/instances:/tracing/instances`,
    ]);
    const pid = engine.podman('inspect', '--format={{.State.Pid}}', container.name).output.trim();
    const mounts = readFileSync(`/proc/${pid}/mounts`, 'utf8');
    assert.match(mounts, /^\S+ \/tracing tracefs ro,/m);
    assert.match(mounts, /^\S+ \/tracing\/instances tracefs rw,/m);
    const scrape = await container.scrape();
    for (const probe of ['sched', 'block', 'irq', 'softirq'])
      assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe }), 1, container.output());
    assert.equal(await container.stop(), 0, container.output());
    assert.ok(!existsSync(join(TRACEFS, 'instances', instance)), 'its instance is left');
    t.diagnostic(`${engine.name}: the default probes are up with nothing but instances/ writable`);
  });

  it('is healthy by its own check as long as it answers', async (t) => {
    const port = await freePort();
    const variables = [
      `--env=FTRACE_EXPORTER_INSTANCE=${bench.instanceName('h')}`,
      `--env=FTRACE_EXPORTER_WEB_LISTEN_ADDRESS=127.0.0.1:${port}`,
    ];
    const check = () => engine.once([...variables, '--entrypoint=["node","/app/healthcheck.js"]']);
    assert.equal(check().status, 1, 'healthy where nobody listens');
    const container = await engine.start(variables);
    const inside = engine.podman('exec', container.name, 'node', '/app/healthcheck.js');
    assert.equal(inside.status, 0, inside.output);
    assert.match(inside.output, /HTTP\/1\.1 200/);
    t.diagnostic(`the check in the container: ${inside.output.trim()}`);
    // The stopped process hangs: the kernel still accepts connections, but nothing answers.
    engine.podman('kill', '--signal=STOP', container.name);
    assert.equal(check().status, 1, 'healthy while it hangs');
    engine.podman('kill', '--signal=CONT', container.name);
    assert.equal(check().status, 0);
    assert.equal(await container.stop(), 0, container.output());
  });

  it('cleans up, as the next container, what was killed', async () => {
    const instance = bench.instanceName('k');
    const variables = [`--env=FTRACE_EXPORTER_INSTANCE=${instance}`];
    const container = await engine.start([
      ...variables,
      '--env=FTRACE_EXPORTER_WEB_LISTEN_ADDRESS=127.0.0.1:0',
    ]);
    engine.podman('kill', '--signal=KILL', container.name);
    await sleep(500);
    assert.ok(existsSync(join(TRACEFS, 'instances', instance)));
    const { status, output } = engine.once(variables, 'cleanup');
    assert.equal(status, 0, output);
    assert.ok(!existsSync(join(TRACEFS, 'instances', instance)), output);
  });

  describe('with the tracer blk, which needs more of the host', { skip: busy ?? false }, () => {
    it('refuses it alone without a place for the journal', async (t) => {
      const container = await withBlk([]);
      await assertRefused(t, container, /restore journal .*EROFS.*--state\.dir/);
    });

    it('refuses it alone without the disks', async (t) => {
      const container = await withBlk([`--volume=${stateDirectory()}:/run/ftrace-exporter`]);
      await assertRefused(t, container, /\/sys\/block\/.*EROFS.*\/sys\/devices writable at \/sys\/devices/);
    });

    it('runs it with both, and puts all back', async (t) => {
      const state = stateDirectory();
      const container = await withBlk([
        `--volume=${state}:/run/ftrace-exporter`,
        '--volume=/sys/devices:/sys/devices',
      ]);
      const up = (await container.scrape()).sum('ftrace_exporter_probe_up', { probe: 'blk' });
      assert.equal(up, 1, container.output());
      assert.equal(readFileSync(join(TRACEFS, 'current_tracer'), 'utf8').trim(), 'blk');
      assert.equal(await container.stop(), 0, container.output());
      assert.equal(readFileSync(join(TRACEFS, 'current_tracer'), 'utf8').trim(), 'nop');
      assert.deepEqual(readdirSync(state), []);
      t.diagnostic('blk with /run/ftrace-exporter and /sys/devices of the host: up, and put back');
    });

    const stateDirectory = () => {
      const directory = join(bench.directory, bench.instanceName('state'));
      mkdirSync(directory);
      return directory;
    };

    const withBlk = (options: string[]): Promise<Container> =>
      engine.start(
        [
          ...options,
          `--env=FTRACE_EXPORTER_INSTANCE=${bench.instanceName('b')}`,
          '--env=FTRACE_EXPORTER_WEB_LISTEN_ADDRESS=127.0.0.1:0',
        ],
        ...['run', '--probe', 'blk'],
      );

    async function assertRefused(t: TestContext, container: Container, reason: RegExp): Promise<void> {
      const line =
        container
          .output()
          .split('\n')
          .find((text) => text.includes('probe=blk')) ?? '';
      assert.match(line, reason, container.output());
      const scrape = await container.scrape();
      assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe: 'blk' }), 0);
      for (const probe of ['sched', 'block', 'irq', 'softirq'])
        assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe }), 1, probe);
      t.diagnostic(`blk: ${/reason="(.*)"$/.exec(line)?.[1]}`);
      assert.equal(await container.stop(), 0, container.output());
    }
  });
});

describe('the container image for arm64', {
  skip: skipWithout('qemu-aarch64-static', 'qemu-user-static'),
}, () => {
  it('starts under emulation', (t) => {
    const { tag, said: output } = buildImage('arm64', 'image');
    try {
      for (const line of output.split('\n')) t.diagnostic(line);
      const run = withRootOf(tag, (root) =>
        outcomeOf(
          'env',
          ...['--unset=NODE_EXTRA_CA_CERTS', 'qemu-aarch64-static', '-L', root, `${root}/nodejs/bin/node`],
          ...['--print', 'process.arch + " " + process.version'],
        ),
      );
      assert.match(run.output, /^arm64 v2\d/, run.output);
      const version = withRootOf(tag, (root) =>
        outcomeOf(
          'env',
          ...['--unset=NODE_EXTRA_CA_CERTS', 'qemu-aarch64-static', '-L', root, `${root}/nodejs/bin/node`],
          ...[`${root}/app/bin/ftrace-exporter.js`, '--version'],
        ),
      );
      assert.match(version.output, /^\d+\.\d+\.\d+/, version.output);
      const emulator = outcomeOf('qemu-aarch64-static', '--version').output.split('\n', 1)[0];
      t.diagnostic(`${emulator}: ${run.output.trim()}, ftrace-exporter ${version.output.trim()}`);
    } finally {
      removeImage(tag);
    }
  });
});

function difference<K extends string>(last: Record<K, number>, first: Record<K, number>): Record<K, number> {
  const keys = Object.keys(last) as K[];
  return Object.fromEntries(keys.map((key) => [key, last[key] - first[key]])) as Record<K, number>;
}

function writeConfig(config: object): string {
  const file = join(bench.directory, `${bench.instanceName('config')}.yaml`);
  writeFileSync(file, JSON.stringify(config));
  return file;
}
