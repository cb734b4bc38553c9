import assert from 'node:assert/strict';
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../../bin/ftrace-exporter.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-cli-'));
after(() => rmSync(directory, { recursive: true }));

const ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('FTRACE_EXPORTER_')),
);

function cli(args: string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [BIN, ...args], {
    encoding: 'utf8',
    env: { ...ENV, ...env },
    timeout: 60_000,
  });
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

/** Returns the error of a command that is used wrongly. The command must exit with 2 and print nothing else. */
function refusal(args: string[], env: Record<string, string> = {}): string {
  const { status, stdout, stderr } = cli(args, env);
  assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
  assert.equal(stdout, '');
  assert.match(stderr, /^ftrace-exporter: /);
  return stderr;
}

test('--version is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  const { status, stdout } = cli(['--version']);
  assert.deepEqual([status, stdout], [0, `${version}\n`]);
});

test('--help of every command has examples, and flags as documented', () => {
  const commands: Record<string, string[]> = {
    '': ['run', 'doctor', 'list', 'check-config', 'cleanup', 'record', 'replay', '--version'],
    run: [
      '--config.file',
      '--probe',
      '--no-probe',
      '--web.listen-address',
      '--web.telemetry-path',
      '--path.tracefs',
      '--instance',
      '--state.dir',
      '--reader',
      '--log.level',
      '--log.format',
      '--demo-if-unavailable',
    ],
    doctor: ['--json', '--instance', '--state.dir', '--config.file', '--path.tracefs'],
    list: ['probes', 'tracers', 'events', 'metrics', '[glob]'],
    'check-config': ['[file]', '--print-schema'],
    cleanup: ['--instance', '--path.tracefs', '--on-signal'],
    record: ['--instance', '-o, --output', '--duration', '--probe'],
    replay: ['--serve', '--instance', '<file>'],
  };
  for (const [command, words] of Object.entries(commands)) {
    const { status, stdout, stderr } = cli([...(command === '' ? [] : [command]), '--help']);
    assert.equal(status, 0, `${command}: ${stderr}`);
    assert.match(stdout, /\nExamples:\n {2}/, command);
    for (const word of words) assert.ok(stdout.includes(word), `${command} --help lacks ${word}:\n${stdout}`);
  }
});

test('list without a match says so and ends with 1', () => {
  const { status, stdout, stderr } = cli(['list', 'metrics', 'nosuch_*']);
  assert.deepEqual([status, stdout], [1, '']);
  assert.equal(stderr, 'ftrace-exporter: no metrics match "nosuch_*"\n');
  assert.equal(cli(['list', 'metrics', 'ftrace_sched_*']).status, 0);
});

test('an old Node prints help and version, and refuses the rest', () => {
  const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`;
  const onOldNode = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', `data:text/javascript,${old}`, BIN, ...args], {
      encoding: 'utf8',
      env: ENV,
    });
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  assert.deepEqual([onOldNode('--version').status, onOldNode('--version').stdout], [0, `${version}\n`]);
  const help = onOldNode('list', '--help');
  assert.equal(help.status, 0, help.stderr);
  assert.match(help.stdout, /^Usage: ftrace-exporter list/);
  const refused = onOldNode('list', 'probes');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /needs Node\.js 22\.18 or newer; this is 20\.20\.2/);
});

test('check-config exits with 0 for a good file, and lists what is on', () => {
  const good = file('good.yaml', 'probes:\n  irq: { enabled: false }\n  syscalls: { include: ["fsync"] }\n');
  const { status, stdout, stderr } = cli(['check-config', good]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, `${good} is valid; enabled probes: sched, syscalls, block, softirq\n`);
});

test('check-config reports that run would not start if a config has nothing on', () => {
  const off = ['sched', 'block', 'irq', 'softirq'].map((probe) => `${probe}: { enabled: false }`).join(', ');
  const { status, stdout } = cli(['check-config', file('nothing.yaml', `probes: { ${off} }\n`)]);
  assert.equal(status, 0);
  assert.match(stdout, /enabled probes: none\nthis config traces nothing/);
});

test('check-config exits with 2 for a bad file, with the place and a suggestion', () => {
  const bad = file('bad.yaml', 'log:\n  levle: info\n');
  assert.match(
    refusal(['check-config', bad]),
    /bad\.yaml:2:3: log\.levle: unknown key \(did you mean "level"\?\)/,
  );
  assert.match(refusal(['check-config', join(directory, 'none.yaml')]), /cannot read .*none\.yaml: ENOENT/);
  assert.match(refusal(['check-config']), /needs a file/);
});

test('a pipe or a device in place of a file is refused, and nobody waits for it', () => {
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  for (const path of [fifo, '/dev/zero']) {
    const reason = new RegExp(`cannot read (the config )?${path}: not a regular file\n$`);
    for (const command of [['check-config'], ['run', '--config.file'], ['list', 'symbols']])
      assert.match(refusal([...command, path]), reason);
  }
});

test('check-config only looks at the file', () => {
  const good = file('good.yaml', 'instance: x\n');
  assert.equal(cli(['check-config', good], { FTRACE_EXPORTER_LOG_LEVEL: 'nonsense' }).status, 0);
});

test('check-config --print-schema prints a JSON Schema', () => {
  const { status, stdout } = cli(['check-config', '--print-schema']);
  assert.equal(status, 0);
  const schema = JSON.parse(stdout);
  assert.match(schema.$schema, /json-schema\.org/);
  assert.ok(schema.properties.probes.properties.sched);
});

test('bad commands, flags, values and variables end with 2 and a remedy', () => {
  assert.match(refusal(['doctr']), /unknown command "doctr" \(did you mean "doctor"\?\)/);
  assert.match(
    refusal(['run', '--web.listen-adress', ':1']),
    /unknown option.*\n.*Did you mean --web\.listen-address\?/,
  );
  assert.match(refusal(['--prob', 'irq']), /unknown option/);
  assert.match(refusal(['run', 'extra']), /too many arguments/);
  const none = ['sched', 'block', 'irq', 'softirq'].flatMap((name) => ['--no-probe', name]);
  assert.match(
    refusal(['run', ...none]),
    /no probe and no kind of traces is enabled, so there is nothing to trace/,
  );
  assert.match(refusal(['run', '--probe', 'syscal']), /--probe: probes\.syscal: unknown probe/);
  assert.match(
    refusal(['--log.level', 'loud']),
    /--log\.level: log\.level: "loud" is not one of debug, info, warn, error/,
  );
  assert.match(
    refusal(['run', '--reader', 'text']),
    /--reader: reader: "text" is not one of raw, trace_pipe/,
  );
  assert.match(
    refusal(['run'], { FTRACE_EXPORTER_BUFFER_TOTAL: '1TB' }),
    /FTRACE_EXPORTER_BUFFER_TOTAL: buffer\.total: "1TB"/,
  );
  assert.match(
    refusal(['list', 'everything']),
    /Allowed choices are probes, tracers, events, functions, metrics/,
  );
  assert.match(refusal(['record']), /--output <file>' not specified/);
  assert.match(
    refusal(['record', '-o', join(directory, 'x.dat'), '--duration', '5']),
    /--duration: "5" .*did you mean "5s"/,
  );
});

test('without tracefs the commands that need it end with 1 and say what to do', () => {
  for (const command of [['run'], ['list', 'events'], ['cleanup']]) {
    const { status, stderr } = cli([...command, '--path.tracefs', join(directory, 'no-tracefs')]);
    assert.equal(status, 1, `${command}: ${stderr}`);
    assert.match(stderr, /no-tracefs.*ENOENT.*mount -t tracefs/);
  }
  const { status, stdout } = cli(['doctor', '--path.tracefs', join(directory, 'no-tracefs')]);
  assert.equal(status, 1);
  assert.match(stdout, /nothing can be traced: .*mount -t tracefs/);
});

test('only kinds of traces are enough to run, but not to record', () => {
  const off = ['sched', 'block', 'irq', 'softirq'].map((name) => `  ${name}: { enabled: false }\n`).join('');
  const kinds = file('kinds.yaml', `spans: { kinds: { block: {} } }\nprobes:\n${off}`);
  const none = join(directory, 'no-tracefs');
  const { status, stderr } = cli(['run', '--config.file', kinds, '--path.tracefs', none]);
  assert.deepEqual([status, /no-tracefs.*ENOENT/.test(stderr)], [1, true], stderr);
  assert.match(
    refusal(['replay', 'nowhere.dat', '--serve', '--config.file', kinds]),
    /no probe is enabled, so there is nothing to read from a recording/,
  );
});

test('probes and metrics are listed without a kernel, and globs select among them', () => {
  const probes = cli(['list', 'probes']);
  assert.equal(probes.status, 0, probes.stderr);
  assert.match(probes.stdout, /^sched +on by default {2}/);
  const metrics = cli(['list', 'metrics', 'ftrace_irq*']);
  assert.match(metrics.stdout, /^ftrace_irq_duration_seconds +\{handler\} /);
  for (const line of metrics.stdout.trim().split('\n')) assert.match(line, /^ftrace_irq/);
});

test('a reader of the output that goes away is no error', async () => {
  const child = spawn(process.execPath, [BIN, 'check-config', '--print-schema'], {
    env: ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.deepEqual([status, stderr], [0, '']);
});
