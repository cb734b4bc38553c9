import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);
const BIN = fileURLToPath(new URL('bin/ftrace-exporter.js', ROOT));
const CAPTURE = readdirSync(new URL('captures/', ROOT)).find((name) => name.endsWith('.dat'));
const SERVE = ['replay', fileURLToPath(new URL(`captures/${CAPTURE}`, ROOT)), '--serve'];

/** The number of sockets on which a process listens. */
function listening(pid: number): number {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      inodes.add(readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/^socket:\[(\d+)\]$/, '$1'));
    } catch {
      // The process has closed this descriptor meanwhile.
    }
  }
  const rows = ['tcp', 'tcp6'].flatMap((family) =>
    readFileSync(`/proc/${pid}/net/${family}`, 'latin1').split('\n').slice(1),
  );
  const sockets = rows.map((row) => row.trim().split(/\s+/));
  return sockets.filter((columns) => columns[3] === '0A' && inodes.has(columns[9])).length;
}

test('SIGUSR1 opens no debugger and does not end the program', { timeout: 120_000 }, async () => {
  for (const flags of [[], ['--disable-sigusr1']]) {
    const args = [...flags, '--inspect-port=0', BIN, ...SERVE, '--web.listen-address', '127.0.0.1:0'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += data;
      });
    const until = async (pattern: RegExp) => {
      while (!pattern.test(output)) {
        assert.equal(child.exitCode, null, output);
        assert.equal(child.signalCode, null, output);
        await sleep(50);
      }
    };
    try {
      await until(/serving metrics/);
      const pid = child.pid as number;
      assert.equal(listening(pid), 1);
      child.kill('SIGUSR1');
      // With the flag, Node itself blocks the signal, so the agent does not log anything.
      if (flags.length === 0) await until(/SIGUSR1 ignored|Debugger listening/);
      assert.doesNotMatch(output, /Debugger listening/);
      assert.equal(listening(pid), 1);
      child.kill('SIGTERM');
      assert.deepEqual(await once(child, 'exit'), [0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  }
});

test('an inherited debugger is refused, and trust in any certificate is not inherited', () => {
  const run = (env: Record<string, string>) =>
    spawnSync(process.execPath, [BIN, '--version'], { encoding: 'utf8', env: { ...process.env, ...env } });
  for (const options of ['--inspect=127.0.0.1:0', '--no-warnings --inspect=0']) {
    const { status, stdout, stderr } = run({ NODE_OPTIONS: options });
    assert.deepEqual([status, stdout], [2, ''], stderr);
    assert.match(stderr, /NODE_OPTIONS opens a debugger/);
  }
  assert.equal(run({ NODE_OPTIONS: '--inspect-port=0 --disable-sigusr1' }).status, 0);
  const { status, stderr } = run({ NODE_TLS_REJECT_UNAUTHORIZED: '0' });
  assert.equal(status, 0);
  assert.match(stderr, /NODE_TLS_REJECT_UNAUTHORIZED ignored/);
});

test('a diagnostic report does not contain the environment', () => {
  const script = `process.on('exit', () => console.log(JSON.stringify(process.report.getReport())))`;
  const args = ['--import', `data:text/javascript,${script}`, BIN, '--version'];
  const env = { ...process.env, OTEL_EXPORTER_OTLP_HEADERS: 'api-key=8c1f0d' };
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  const report = JSON.parse(stdout.slice(stdout.indexOf('{')));
  assert.equal(typeof report.header.event, 'string', stderr);
  assert.ok(!('environmentVariables' in report));
  assert.ok(!stdout.includes('8c1f0d'));
});

test('image and unit pass the flag to Node, and the chart starts the entry point of the image', () => {
  const read = (file: string) => readFileSync(new URL(file, ROOT), 'utf8');
  assert.match(read('deploy/Dockerfile'), /^ENTRYPOINT \["node", "--disable-sigusr1", /m);
  const unit = read('deploy/systemd/ftrace-exporter.service');
  assert.match(unit, /^Environment=NODE_OPTIONS=--disable-sigusr1$/m);
  assert.match(unit, /^LimitCORE=0$/m);
  // A pod inherits only the variables of its image.
  const others = [
    read('deploy/Dockerfile').slice(read('deploy/Dockerfile').lastIndexOf('\nFROM')),
    read('helm/ftrace-exporter/templates/_pod.tpl'),
  ];
  for (const name of ['NODE_PATH', 'NODE_TLS_REJECT_UNAUTHORIZED', 'OPENSSL_CONF', 'LD_PRELOAD']) {
    assert.match(unit, new RegExp(`^UnsetEnvironment=.*\\b${name}\\b`, 'm'));
    for (const text of others) assert.ok(!text.includes(name), name);
  }
  for (const text of others) assert.ok(!text.includes('NODE_OPTIONS'));
  assert.doesNotMatch(read('helm/ftrace-exporter/templates/_pod.tpl'), /^\s+(- )?command:/m);
});
