/** Tests src/tracefs on the running kernel. Needs root and tracefs; uses only instances of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { cleanup } from '../../src/tracefs/cleanup.ts';
import { formatText, listEvents } from '../../src/tracefs/events.ts';
import { kernelFeatures } from '../../src/tracefs/features.ts';
import { writeControl } from '../../src/tracefs/files.ts';
import { createInstance, type Instance } from '../../src/tracefs/instance.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';
import { claimThreadId, findNonces, learnOwnThreads, ownThreadIds } from '../../src/tracefs/threads.ts';
import { topLevelTurn, undisturbed } from '../support/top-level.ts';
import { differences, topLevelFiles } from './top-level-files.ts';

const root = findTracefs({ mayMount: true });
const PREFIX = `ftx-tracefs-${process.pid}`;
const CHILD = new URL('./tracefs-child.ts', import.meta.url).pathname;
const SIZES = { bufferBytesPerCpu: 1 << 20, subbufferBytes: 16384, clock: 'mono' };
const children: ChildProcess[] = [];
const made: Instance[] = [];
let names = 0;
const nextName = () => `${PREFIX}-${++names}`;
const makeInstance = (name = nextName()): Instance => {
  const instance = createInstance(root, name);
  made.push(instance);
  return instance;
};

/** Instances of this file that exist now. */
const ours = () => readdirSync(join(root, 'instances')).filter((name) => name.startsWith(PREFIX));

after(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const instance of made) instance.remove();
  cleanup(root, ours());
});

/** Starts the child script, under `wrapper` if given. Returns the first line that it prints. */
async function startChild(mode: string, name: string, wrapper: string[] = []) {
  const command = [...wrapper, process.execPath, CHILD, mode, root, name];
  const child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout }))
    return { child, result: JSON.parse(line) };
  throw new Error(`the child ended without a word: ${command.join(' ')}`);
}

/** Process `pid` and all its descendants, from /proc. */
function descendants(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const below = tasks.flatMap((tid) =>
    readFileSync(`/proc/${pid}/task/${tid}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...below.flatMap(descendants)];
}

const tasksOf = (pid: number) => readdirSync(`/proc/${pid}/task`).map(Number);
const ascending = (a: number, b: number) => a - b;
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8').trim();

test('an instance is prepared, records, is read page by page, counts, and goes', () => {
  const instance = makeInstance();
  assert.equal(instance.leftover, false);
  const inForce = instance.prepare(SIZES);
  assert.deepEqual(inForce.warnings, []);
  assert.ok(inForce.bufferBytesPerCpu >= SIZES.bufferBytesPerCpu);
  assert.ok(inForce.bufferBytesPerCpu < SIZES.bufferBytesPerCpu * 1.1, `${inForce.bufferBytesPerCpu}`);
  const metadata = instance.metadata();
  assert.equal(metadata.clock, 'mono');
  assert.equal(metadata.layout.pageSize, inForce.subbufferBytes);
  if (kernelFeatures(root).subbufferSizes) assert.equal(inForce.subbufferBytes, 16384);
  const options = Object.entries({ overwrite: '1', disable_on_free: '1', markers: '1', stacktrace: '0' });
  for (const [name, value] of options) assert.equal(read('instances', instance.name, 'options', name), value);
  assert.equal(read('instances', instance.name, 'tracing_on'), '0');

  const pages = instance.openPages();
  assert.ok(pages.cpus().length > 0 && pages.cpus().every((cpu) => cpu < instance.cpuCount));
  const into = new Uint8Array(metadata.layout.pageSize);
  for (const cpu of pages.cpus()) assert.equal(pages.readPage(cpu, into), 0, `CPU ${cpu} is not empty`);
  assert.throws(() => instance.writeMarker('too early'), {
    errno: 'EBADF',
    message: /write 1 to its tracing_on first/,
  });

  const MARKERS = 5000;
  instance.start();
  for (let i = 0; i < MARKERS; i++) instance.writeMarker(`marker ${i}`);
  instance.stop();
  let whole = 0;
  let text = '';
  for (const cpu of pages.cpus()) {
    for (let length = pages.readPage(cpu, into); length > 0; length = pages.readPage(cpu, into)) {
      assert.equal(length, metadata.layout.pageSize);
      whole++;
      const commit = new DataView(into.buffer).getUint32(metadata.layout.commitOffset, true) & 0x7ffffff;
      text += Buffer.from(into.subarray(16, 16 + commit)).toString('latin1');
    }
  }
  const seen = [...text.matchAll(/marker (\d+)\n/g)].map((match) => Number(match[1])).sort(ascending);
  assert.deepEqual(
    seen,
    Array.from({ length: MARKERS }, (_, i) => i),
  );
  assert.ok(whole > 5, `only ${whole} pages`);
  const stats = pages.cpus().map((cpu) => instance.stats(cpu));
  const sum = (count: (s: (typeof stats)[0]) => number) => stats.reduce((total, s) => total + count(s), 0);
  assert.equal(
    sum((s) => s.readEvents),
    MARKERS,
  );
  assert.equal(
    sum((s) => s.entries + s.overrun + s.commitOverrun + s.droppedEvents),
    0,
  );

  instance.remove();
  assert.equal(existsSync(instance.dir), false);
  assert.deepEqual(pages.cpus(), []);
  instance.remove();
});

test('events are enabled by name; one the kernel lacks is an error that names it', () => {
  const instance = makeInstance();
  instance.prepare(SIZES);
  instance.enable(['sched:sched_switch', 'sched:sched_wakeup']);
  assert.deepEqual(read('instances', instance.name, 'set_event').split('\n').sort(), [
    'sched:sched_switch',
    'sched:sched_wakeup',
  ]);
  assert.throws(() => instance.enable(['sched:no_such_event']), {
    errno: 'ENOENT',
    message: /no_such_event/,
  });
  // Records of the tracers have a format, but cannot be enabled.
  assert.throws(() => instance.enable(['ftrace:print']), { errno: 'ENOENT' });
  assert.match(formatText(root, 'ftrace:print') ?? '', /^name: print$/m);
  assert.ok(listEvents(root).includes('sched:sched_switch'));
  instance.remove();
});

test('what the kernel refuses carries errno, value and its own words', () => {
  const instance = makeInstance();
  assert.throws(() => instance.prepare({ ...SIZES, clock: 'sundial' }), {
    name: 'KernelError',
    errno: 'EINVAL',
    value: 'sundial',
    file: join(instance.dir, 'trace_clock'),
  });
  const filter = 'events/sched/sched_switch/filter';
  assert.throws(() => writeControl(instance.dir, filter, 'no_such_field == 1'), {
    errno: 'EINVAL',
    message: /the kernel's error log: .*Field not found/,
  });
  // An error must show only its own entry of `error_log`.
  assert.throws(
    () => writeControl(instance.dir, filter, 'prev_pid ~~ 1'),
    (error: Error) => /the kernel's error log/.test(error.message) && !/Field not found/.test(error.message),
  );
  instance.remove();
});

test('a name that is held is refused; one that nobody holds is taken over', async () => {
  const held = makeInstance();
  assert.throws(() => createInstance(root, held.name), {
    errno: 'EBUSY',
    message: /another name for this one with --instance \(`instance` in the config\)/,
  });
  assert.partialDeepStrictEqual(cleanup(root, [held.name]), { removed: [], busy: [held.name] });
  held.remove();

  const name = nextName();
  const { child } = await startChild('hold', name);
  assert.throws(() => createInstance(root, name), { errno: 'EBUSY' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const second = makeInstance(name);
  assert.equal(second.leftover, true);
  assert.equal(read('instances', name, 'set_event'), '');
  second.remove();
});

test('SIGKILL stops recording and frees the buffers; cleanup removes what is left', async () => {
  const name = nextName();
  const { child } = await startChild('hold', name);
  assert.equal(read('instances', name, 'tracing_on'), '1');
  assert.ok(Number.parseInt(read('instances', name, 'buffer_size_kb'), 10) >= 1024);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(read('instances', name, 'tracing_on'), '0');
  // The kernel keeps at least two sub-buffers.
  const sizeKib = Number.parseInt(read('instances', name, 'buffer_size_kb'), 10);
  assert.ok(sizeKib <= 64, `${sizeKib} KiB are left`);
  assert.partialDeepStrictEqual(cleanup(root, ours()), { removed: [name], busy: [] });
});

test('an instance that somebody else has open is stopped, and the error says why it stays', async () => {
  const instance = makeInstance();
  instance.prepare(SIZES);
  instance.enable(['sched:sched_switch']);
  instance.start();
  const other = spawn('sh', [
    '-c',
    `exec 9<${instance.dir}/per_cpu/cpu0/trace_pipe_raw; echo; exec sleep 60`,
  ]);
  children.push(other);
  await once(other.stdout, 'data');
  assert.throws(() => instance.remove(), { errno: 'EBUSY', message: /ftrace-exporter cleanup/ });
  assert.equal(read('instances', instance.name, 'tracing_on'), '0');
  assert.equal(read('instances', instance.name, 'set_event'), '');
  other.kill('SIGKILL');
  await once(other, 'exit');
  instance.remove();
  assert.equal(existsSync(instance.dir), false);
});

test('all our threads are learned, and nothing of it stays in the buffer', async () => {
  const instance = makeInstance();
  instance.prepare(SIZES);
  const learned = await learnOwnThreads(instance);
  assert.deepEqual(learned.warnings, []);
  assert.ok(learned.ids.includes(process.pid));
  assert.equal(learned.nested, false);
  for (const id of ownThreadIds()) assert.ok(learned.ids.includes(id), `thread ${id} is missing`);
  for (let cpu = 0; cpu < instance.cpuCount; cpu++) {
    const { entries, readEvents } = instance.stats(cpu);
    assert.deepEqual({ cpu, entries, readEvents }, { cpu, entries: 0, readEvents: 0 });
  }
  assert.equal(read('instances', instance.name, 'tracing_on'), '0');

  // Each thread finds its own id, not that of the process.
  instance.start();
  claimThreadId(instance, 'aa11');
  const script = `require('node:fs').appendFileSync(${JSON.stringify(`${instance.dir}/trace_marker`)},
    'ftrace-exporter-tid bb22')`;
  await once(new Worker(script, { eval: true }), 'exit');
  const pids = findNonces(instance, ['aa11', 'bb22', 'cc33']);
  assert.equal(pids.get('aa11'), process.pid);
  assert.ok(pids.has('bb22') && pids.get('bb22') !== process.pid);
  assert.equal(pids.has('cc33'), false);
  instance.remove();
});

const NESTED = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
const BARE = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];

test('in a pid namespace every thread is known by its host pid', async () => {
  const { child, result } = await startChild('learn', nextName(), NESTED);
  const host = descendants(child.pid ?? 0).at(-1) ?? 0;
  assert.equal(result.nested, true);
  assert.deepEqual(result.warnings, []);
  assert.ok(result.inner.includes(1));
  assert.deepEqual(result.ids, tasksOf(host).sort(ascending));
  child.stdin?.write('\n');
  await once(child, 'exit');
});

test('no capability is needed', async () => {
  const name = nextName();
  const { child, result } = await startChild('learn', name, BARE);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  assert.match(status, /^CapEff:\s+0+$/m);
  assert.match(status, /^CapBnd:\s+0+$/m);
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(result.ids, tasksOf(child.pid ?? 0).sort(ascending));
  child.stdin?.write('\n');
  await once(child, 'exit');
  assert.equal(child.exitCode, 0);
  assert.equal(existsSync(join(root, 'instances', name)), false);
});

test('a user that is not root gets an error that says so', () => {
  const script = `import { findTracefs } from ${JSON.stringify(new URL('../../src/tracefs/mount.ts', import.meta.url))};
    // Not before the import, because this user may not read the sources, for example in /root.
    process.setgroups([]);
    process.setuid(65534);
    try { findTracefs({ mayMount: false }) } catch (error) { console.log(error.message) }`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.match(result.stdout, /EACCES.*run as root \(this is uid 65534\)/, result.stderr);
});

const busy = await topLevelTurn();

const asItWas = undisturbed(async () => {
  const before = topLevelFiles(root);
  const sizeBefore = read('buffer_size_kb');
  assert.ok(before.size > 30);
  const instance = makeInstance();
  instance.prepare(SIZES);
  await learnOwnThreads(instance);
  instance.enable(['sched:sched_switch', 'raw_syscalls:sys_enter']);
  instance.start();
  instance.openPages();
  const during = topLevelFiles(root);
  instance.remove();
  assert.deepEqual(differences(before, topLevelFiles(root)), []);
  assert.deepEqual(differences(before, during), []);
  assert.equal(read('buffer_size_kb'), sizeBefore);
});
test('the top level is as it was, its buffer size too', { skip: busy ?? false }, asItWas);
