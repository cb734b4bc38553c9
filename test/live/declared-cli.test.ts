/** Commands for declared metrics on the running kernel: what they print, and their exit status. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BIN, makeBench, TRACEFS } from '../support/agent.ts';

const bench = makeBench('declared-cli');
const EXAMPLES = new URL('../../examples/metrics/', import.meta.url).pathname;
const run = (...args: string[]) =>
  spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8', timeout: 120_000 });

function fileOf(yaml: string): string {
  const file = join(bench.directory, 'metrics.yaml');
  writeFileSync(file, yaml);
  return file;
}

test('check-config --live says what this kernel lacks, with suggestions', () => {
  const fifo = join(bench.directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const file = fileOf(`metrics:
  - { name: a_total, help: A., event: "sched:sched_process_exek" }
  - { name: b_total, help: B., event: "sched:sched_process_exec", labels: { p: filenam } }
  - { name: c_total, help: C., event: "sched:sched_process_exec", where: "pidd > 2" }
  - { name: d_total, help: D., event: "sched:sched_process_exec", labels: { p: { field: pid, as: text } } }
  - { name: e_total, help: E., event: { uprobe: "/nosuchfile:f" } }
  - { name: pipe_total, help: P., event: { uprobe: "${fifo}:f" } }
  - { name: good_total, help: F., event: "sched:sched_process_exec" }
`);
  assert.equal(run('check-config', file).status, 0);
  const { status, stdout } = run('check-config', '--live', file);
  assert.equal(status, 1);
  for (const line of [
    'metrics/a_total would be off: this kernel has no event sched:sched_process_exek (did you mean "sched:sched_process_exec"?)',
    'metrics/b_total would be off: event sched:sched_process_exec of this kernel has no field filenam (did you mean "filename"?)',
    'metrics/c_total would be off: event sched:sched_process_exec of this kernel has no field pidd (did you mean "pid"?)',
    'metrics/d_total would be off: cannot be set up: field pid of sched:sched_process_exec (pid_t) is not a string',
    'metrics/e_total would be off: cannot read /nosuchfile: ENOENT',
    `metrics/pipe_total would be off: cannot read ${fifo}: not a regular file`,
  ])
    assert.ok(stdout.includes(line), stdout);
  assert.doesNotMatch(stdout, /good_total would be off/);
});

test('the examples work here, unless this kernel lacks an event', () => {
  for (const name of readdirSync(EXAMPLES).filter((one) => one.endsWith('.yaml'))) {
    const { stdout } = run('check-config', '--live', join(EXAMPLES, name));
    for (const line of stdout
      .split('\n')
      .filter((one) => one.startsWith('metrics/') && one.includes('would be off')))
      assert.match(
        line,
        /has no event|no field|without kprobes|cannot read|jiffy|no function names|without hist triggers/,
        name,
      );
  }
});

test('try counts for a moment, and leaves nothing behind', async () => {
  const file = fileOf(`metrics:
  - name: true_total
    help: Runs of true.
    event: sched:sched_process_exec
    where: filename ~ "*/true"
    labels: { program: filename }
  - { name: other_total, help: A., event: "nosys:nothing" }
`);
  const child = spawn(process.execPath, [BIN, 'try', file, 'true_total', '--for', '4s']);
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const repeat = setInterval(() => spawnSync('/bin/true'), 100);
  assert.equal(await ended, 0);
  clearInterval(repeat);
  assert.match(out, /^ftrace_true_total\n\s+value\n {2}program=\S*\/true +[1-9]\d*$/m, out);
  assert.doesNotMatch(out, /other_total/);
  assert.ok(!readdirSync(join(TRACEFS, 'instances')).includes('ftrace-exporter-try'));
  const wrong = run('try', file, 'true_totl');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /declares no metric true_totl \(did you mean "true_total"\?\)/);
});

test('list shows fields of events and functions of files', () => {
  const events = run('list', 'events', 'sched:sched_process_exec', '--fields');
  assert.match(events.stdout, /^sched:sched_process_exec .*filename \(__data_loc char\[\]\), pid \(pid_t\)/);
  const libc = /\S+\/libc\.so\.6$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? '';
  const symbols = run('list', 'symbols', libc, 'getaddrinf?');
  assert.match(symbols.stdout, /^getaddrinfo +0x[0-9a-f]+$/m);
  assert.equal(run('list', 'symbols', libc, 'nosuch*').status, 1);
  assert.equal(run('list', 'symbols', '/etc/passwd').status, 2);
});
