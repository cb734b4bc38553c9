/**
 * Tests the journal with plain files. All values have the same length, because a plain file would keep the rest of a
 * longer text. Tests with the kernel's own files are in test/live/journal.test.ts.
 */
import assert from 'node:assert/strict';
import fs, {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { KernelError } from '../../../src/model/errors.ts';
import { openJournal, restoreJournal } from '../../../src/tracefs/journal/journal.ts';
import { bootId } from '../../../src/tracefs/journal/state.ts';
import { takeTopLevel } from '../../../src/tracefs/top-level.ts';
import { fakeTracefs } from './fake.ts';

const FILES = {
  tracing_thresh: '0\n',
  'osnoise/cpus': '0-1\n',
  'osnoise/period_us': '1000000\n',
  'hwlat_detector/mode': 'none [round-robin] per-cpu\n',
  tracing_on: '1\n',
  set_ftrace_filter: '#### all functions enabled ####\n',
  current_tracer: 'nop\n',
  buffer_size_kb: '8000\n',
  set_event: '',
};

function fake(t: TestContext) {
  const root = fakeTracefs(t, FILES);
  const place = { stateDir: join(root, 'state'), name: 'agent', root };
  const stateFile = join(place.stateDir, 'agent.journal.json');
  return {
    root,
    place,
    stateFile,
    text: (file: string) => readFileSync(join(root, file), 'utf8'),
    write: (file: string, text: string) => writeFileSync(join(root, file), text),
    plant: (entries: unknown, boot = bootId()) => {
      mkdirSync(place.stateDir, { recursive: true });
      writeFileSync(stateFile, JSON.stringify({ version: 1, boot, entries }), { mode: 0o600 });
    },
    untouched: () => {
      for (const [file, text] of Object.entries(FILES))
        assert.equal(readFileSync(join(root, file), 'utf8'), text, file);
    },
  };
}

test('the old content is on disk before the file is written, and comes back', (t) => {
  const { place, stateFile, text, untouched } = fake(t);
  const journal = openJournal(place);
  assert.ok(!existsSync(place.stateDir), 'opening it touches nothing');
  const part = journal.part('timerlat');
  part.set('osnoise/cpus', '2-3');
  part.set('tracing_thresh', '5');
  assert.equal(text('osnoise/cpus'), '2-3\n');
  const state = JSON.parse(readFileSync(stateFile, 'utf8'));
  assert.deepEqual(state.entries, [
    { file: 'osnoise/cpus', before: '0-1\n', left: '2-3', owners: ['timerlat'] },
    { file: 'tracing_thresh', before: '0\n', left: '5', owners: ['timerlat'] },
  ]);
  assert.equal(statSync(place.stateDir).mode & 0o777, 0o700);
  assert.equal(statSync(stateFile).mode & 0o777, 0o600);
  assert.deepEqual(part.restore(), { restored: ['tracing_thresh', 'osnoise/cpus'], problems: [] });
  untouched();
  assert.deepEqual(readdirSync(place.stateDir), []);
});

test('an entry is on disk before its file is opened to be written', (t) => {
  const { place, stateFile } = fake(t);
  const seen: unknown[] = [];
  const { openSync } = fs;
  t.mock.method(fs, 'openSync', (path: string, flags: number, mode?: number) => {
    if (path.startsWith(join(place.root, 'osnoise')) && (flags & fs.constants.O_WRONLY) !== 0)
      seen.push(JSON.parse(readFileSync(stateFile, 'utf8')).entries);
    return openSync(path, flags, mode);
  });
  syncBuiltinESMExports();
  try {
    const part = openJournal(place).part('osnoise');
    part.set('osnoise/cpus', '2-3');
    part.set('osnoise/cpus', '4-5');
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
  const entry = { file: 'osnoise/cpus', before: '0-1\n', owners: ['osnoise'] };
  assert.deepEqual(seen, [[entry], [entry]]);
});

test('a value that is there already is neither written nor journaled', (t) => {
  const { place } = fake(t);
  openJournal(place).part('osnoise').set('osnoise/cpus', '0-1');
  openJournal(place).part('hwlat').set('hwlat_detector/mode', 'round-robin');
  assert.ok(!existsSync(place.stateDir));
});

test('the next start restores what a crash left; a second time there is nothing to do', (t) => {
  const { place, untouched } = fake(t);
  const part = openJournal(place).part('osnoise');
  part.set('osnoise/cpus', '2-3');
  part.set('osnoise/cpus', '4-5');
  assert.deepEqual(restoreJournal(place), { restored: ['osnoise/cpus'], problems: [] });
  untouched();
  assert.deepEqual(restoreJournal(place), { restored: [], problems: [] });
});

test('what somebody else has changed since stays, with a message', (t) => {
  const { place, text, write } = fake(t);
  openJournal(place).part('osnoise').set('osnoise/cpus', '2-3');
  write('osnoise/cpus', '6-7\n');
  const { restored, problems } = restoreJournal(place);
  assert.deepEqual(restored, []);
  assert.match(
    problems.join(),
    /another user has changed .*osnoise\/cpus to "6-7" .*original value was "0-1"\)/,
  );
  assert.equal(text('osnoise/cpus'), '6-7\n');
  assert.deepEqual(readdirSync(place.stateDir), []);
});

test('an intended write is restored if the file differs', (t) => {
  const { place, plant, text, write, untouched } = fake(t);
  plant([
    { file: 'osnoise/cpus', before: '0-1\n', owners: ['osnoise'] },
    { file: 'tracing_thresh', before: '0\n', owners: ['osnoise'] },
  ]);
  write('tracing_thresh', '7\n');
  assert.deepEqual(restoreJournal(place), { restored: ['tracing_thresh'], problems: [] });
  assert.equal(text('osnoise/cpus'), '0-1\n');
  untouched();
});

test('files that the kernel itself changes are restored, whatever they show', (t) => {
  const { place, plant, text } = fake(t);
  plant([{ file: 'tracing_on', before: '0\n', left: '2', owners: ['blk'] }]);
  assert.deepEqual(restoreJournal(place).restored, ['tracing_on']);
  assert.equal(text('tracing_on'), '0\n');
  const part = openJournal(place).part('hwlat');
  part.keep('hwlat_detector/mode');
  assert.deepEqual(part.restore(), { restored: [], problems: [] });
});

test('what changes with a write elsewhere comes back, also after a kill in the middle', (t) => {
  const { place, text, write, untouched } = fake(t);
  const part = openJournal(place).part('function_graph');
  // The step changes the file, as in kernels whose instances share one set of options.
  part.keepIfFollows('tracing_thresh', () => write('tracing_thresh', '5\n'));
  assert.equal(text('tracing_thresh'), '5\n');
  assert.deepEqual(part.restore(), { restored: ['tracing_thresh'], problems: [] });
  const killed = () => {
    write('tracing_thresh', '5\n');
    throw new Error('killed');
  };
  assert.throws(() => part.keepIfFollows('tracing_thresh', killed), /killed/);
  assert.deepEqual(restoreJournal(place), { restored: ['tracing_thresh'], problems: [] });
  untouched();
  // If the step does not change the file, the journal drops it, so the value of a later writer stays.
  part.keepIfFollows('tracing_thresh', () => undefined);
  write('tracing_thresh', '7\n');
  assert.deepEqual(part.restore(), { restored: [], problems: [] });
  assert.equal(text('tracing_thresh'), '7\n');
});

test('a list is only used if it is empty, and emptied if its lines are ours', (t) => {
  const { place, text, write, plant } = fake(t);
  write('set_ftrace_filter', 'schedule\n');
  const part = openJournal(place).part('function');
  assert.throws(() => part.add('set_ftrace_filter', ['vfs_*']), {
    errno: 'EBUSY',
    message: /already contains schedule/,
  });
  plant([{ file: 'set_ftrace_filter', before: '', added: ['vfs_*'], owners: ['function'] }]);
  assert.match(
    restoreJournal(place).problems.join(),
    /another user has changed .*set_ftrace_filter to "schedule"/,
  );
  write('set_ftrace_filter', 'vfs_read\nvfs_write [m]\n');
  plant([{ file: 'set_ftrace_filter', before: '', added: ['vfs_*'], owners: ['function'] }]);
  assert.deepEqual(restoreJournal(place), { restored: ['set_ftrace_filter'], problems: [] });
  assert.equal(text('set_ftrace_filter'), '');
});

test('lists stay as they are if somebody else has taken over the tracer', (t) => {
  const { place, text, write, plant } = fake(t);
  write('set_ftrace_filter', 'vfs_read\n');
  write('current_tracer', 'function\n');
  plant([
    { file: 'set_ftrace_filter', before: '', added: ['vfs_*'], owners: ['x'] },
    { file: 'current_tracer', before: 'nop\n', left: 'function_graph', owners: ['x'] },
  ]);
  assert.equal(restoreJournal(place).problems.length, 2);
  assert.equal(text('set_ftrace_filter'), 'vfs_read\n');
  assert.equal(text('current_tracer'), 'function\n');
});

test('tracers of one agent can share a value, but not want two', (t) => {
  const { place, text, untouched } = fake(t);
  const journal = openJournal(place);
  const [osnoise, hwlat] = [journal.part('osnoise'), journal.part('hwlat')];
  osnoise.set('tracing_thresh', '5');
  assert.throws(() => hwlat.set('tracing_thresh', '7'), {
    errno: 'EBUSY',
    message: /osnoise needs it to be 5/,
  });
  hwlat.set('tracing_thresh', '5');
  assert.deepEqual(osnoise.restore(), { restored: [], problems: [] });
  assert.equal(text('tracing_thresh'), '5\n');
  assert.deepEqual(hwlat.restore(), { restored: ['tracing_thresh'], problems: [] });
  untouched();
});

test('a file that cannot be restored now is tried again later', (t) => {
  const { root, place, text } = fake(t);
  openJournal(place).part('osnoise').set('osnoise/cpus', '2-3');
  const file = join(root, 'osnoise/cpus');
  rmSync(file);
  mkdirSync(file);
  assert.match(
    restoreJournal(place).problems.join(),
    /cannot read .*osnoise\/cpus: EISDIR.*\(the original value was "0-1"\)/,
  );
  rmSync(file, { recursive: true });
  writeFileSync(file, '2-3\n');
  assert.deepEqual(restoreJournal(place), { restored: ['osnoise/cpus'], problems: [] });
  assert.equal(text('osnoise/cpus'), '0-1\n');
});

test('a file that no longer exists need not be restored', (t) => {
  const { root, place, stateFile } = fake(t);
  openJournal(place).part('osnoise').set('osnoise/cpus', '2-3');
  rmSync(join(root, 'osnoise/cpus'));
  assert.match(restoreJournal(place).problems.join(), /ENOENT/);
  assert.ok(!existsSync(stateFile));
});

test('while a tracer cannot be stopped, its settings stay, for another try', (t) => {
  const { root, place, plant, text, write, stateFile } = fake(t);
  const file = join(root, 'current_tracer');
  plant([
    { file: 'tracing_thresh', before: '0\n', left: '5', owners: ['hwlat'] },
    { file: 'tracing_on', before: '1\n', left: '0', owners: ['blk at the top level'] },
    { file: 'current_tracer', before: 'nop\n', left: 'blk', owners: ['blk at the top level'] },
    { file: 'osnoise/cpus', before: '0-1\n', left: '2-3', owners: ['blk'] },
  ]);
  write('tracing_thresh', '5\n');
  write('osnoise/cpus', '2-3\n');
  write('tracing_on', '0\n');
  rmSync(file);
  mkdirSync(file);
  const { restored, problems } = restoreJournal(place);
  assert.deepEqual(restored, ['tracing_thresh']);
  assert.match(problems[0], /current_tracer: EISDIR/);
  assert.match(problems[2], /tracing_on is not restored: tracer blk could not be stopped/);
  assert.match(problems[1], /osnoise\/cpus is not restored: tracer blk could not be stopped/);
  assert.equal(text('osnoise/cpus'), '2-3\n');
  rmSync(file, { recursive: true });
  writeFileSync(file, 'blk\n');
  assert.deepEqual(restoreJournal(place), {
    restored: ['current_tracer', 'osnoise/cpus', 'tracing_on'],
    problems: [],
  });
  assert.equal(text('osnoise/cpus'), '0-1\n');
  assert.ok(!existsSync(stateFile));
  plant([{ file: 'osnoise/cpus', before: '0-1\n', left: '2-3', owners: ['osnoise'] }]);
  write('osnoise/cpus', '2-3\n');
  assert.equal(restoreJournal(place, ['osnoise']).problems.length, 1);
  assert.equal(text('osnoise/cpus'), '2-3\n');
  assert.deepEqual(restoreJournal(place).restored, ['osnoise/cpus']);
});

test('a journal of another boot is void', (t) => {
  const { place, plant, untouched } = fake(t);
  plant([{ file: 'osnoise/cpus', before: '6-7\n', owners: ['osnoise'] }], 'another');
  assert.deepEqual(restoreJournal(place), { restored: [], problems: [] });
  untouched();
  assert.deepEqual(readdirSync(place.stateDir), []);
});

test('a kill while the journal was written leaves nothing for long', (t) => {
  const { place, stateFile } = fake(t);
  mkdirSync(place.stateDir);
  writeFileSync(`${stateFile}.new`, '{"ver');
  assert.deepEqual(restoreJournal(place), { restored: [], problems: [] });
  assert.deepEqual(readdirSync(place.stateDir), []);
  writeFileSync(`${stateFile}.new`, '{"ver');
  const part = openJournal(place).part('osnoise');
  part.set('osnoise/cpus', '2-3');
  assert.deepEqual(readdirSync(place.stateDir), ['agent.journal.json']);
  part.restore();
});

test('a state file that is broken or not ours is an error, and nothing is written', (t) => {
  const { place, stateFile, plant, untouched } = fake(t);
  mkdirSync(place.stateDir);
  const entry = { file: 'osnoise/cpus', before: '6-7\n', owners: ['osnoise'] };
  const plantAnd = (step: () => void) => {
    plant([entry]);
    step();
  };
  const cases: [string, () => void, RegExp][] = [
    ['no JSON', () => writeFileSync(stateFile, '{"version":1,', { mode: 0o600 }), /the file is not JSON/],
    ['empty', () => writeFileSync(stateFile, ''), /the file is not JSON/],
    ['another shape', () => writeFileSync(stateFile, '[]'), /not a journal of this version/],
    [
      'another version',
      () => writeFileSync(stateFile, '{"version":2,"boot":"","entries":[]}'),
      /of this version/,
    ],
    ['a number', () => plant(3), /has no entries/],
    ['a path', () => plant([{ ...entry, file: '../../etc/passwd' }]), /entry that is not allowed/],
    [
      'another path',
      () => plant([entry, { ...entry, file: '/sys/block/../x/trace/enable' }]),
      /is not allowed/,
    ],
    ['commands', () => plant([{ ...entry, file: 'kprobe_events' }]), /entry that is not allowed/],
    ['NUL', () => plant([{ ...entry, before: '\0' }]), /entry that is not allowed/],
    ['no owners', () => plant([{ file: 'osnoise/cpus', before: '' }]), /entry that is not allowed/],
    ['twice', () => plant([entry, entry]), /lists the same file twice/],
    [
      'open to others',
      () => plantAnd(() => chmodSync(stateFile, 0o622)),
      /other users may write to the file/,
    ],
    ['somebody else’s', () => plantAnd(() => chownSync(stateFile, 1234, 0)), /belongs to uid 1234/],
    ['a link', () => linkOver(stateFile), /symbolic link/],
    ['a directory', () => mkdirSync(stateFile), /not a regular file/],
    ['huge', () => writeFileSync(stateFile, ' '.repeat((1 << 20) + 1)), /1048577 bytes/],
  ];
  for (const [what, make, message] of cases) {
    rmSync(stateFile, { recursive: true, force: true });
    make();
    const kernelError = (error: unknown) => error instanceof KernelError && message.test(error.message);
    assert.throws(() => restoreJournal(place), kernelError, what);
    assert.throws(() => openJournal(place).part('osnoise').set('osnoise/cpus', '2-3'), kernelError, what);
    assert.throws(() => openJournal(place).part('f').add('set_ftrace_filter', ['x']), kernelError, what);
    assert.ok(existsSync(stateFile), what);
    untouched();
  }
});

function linkOver(stateFile: string): void {
  writeFileSync(`${stateFile}.real`, '{}');
  symlinkSync(`${stateFile}.real`, stateFile);
}

test('if no state can be kept nothing is changed, and the error names the tracer', (t) => {
  const { root, untouched } = fake(t);
  const file = join(root, 'occupied');
  writeFileSync(file, '');
  for (const [stateDir, errno] of [
    [file, 'ENOTDIR'],
    ['/proc/none/at/all', 'ENOENT'],
  ]) {
    const part = openJournal({ stateDir, name: 'agent', root }).part('osnoise');
    assert.throws(() => part.set('osnoise/cpus', '2-3'), {
      errno,
      message: /tracer osnoise needs it.*--state\.dir/,
    });
  }
  untouched();
});

test('files that are not control files are refused', (t) => {
  const { place } = fake(t);
  assert.throws(() => openJournal(place).part('x').set('../etc/passwd', 'x'), {
    message: /not a known control file/,
  });
});

test('whatever was set by whom, and wherever it stopped, everything comes back', (t) => {
  const { place, untouched } = fake(t);
  const step = fc.record({
    owner: fc.constantFrom('a', 'b'),
    what: fc.oneof(
      fc.record({ file: fc.constant('osnoise/cpus'), value: fc.constantFrom('0-1', '2-3', '4-5') }),
      fc.record({ file: fc.constant('tracing_thresh'), value: fc.constantFrom('0', '1', '2') }),
      fc.record({ file: fc.constant('tracing_on'), value: fc.constantFrom('0', '1') }),
      fc.constant('restore' as const),
      fc.constant('again' as const),
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      let journal = openJournal(place);
      for (const { owner, what } of steps) {
        if (what === 'again') journal = openJournal(place);
        else if (what === 'restore') assert.deepEqual(journal.part(owner).restore().problems, []);
        else {
          try {
            journal.part(owner).set(what.file, what.value);
          } catch (error) {
            assert.ok(error instanceof KernelError && error.errno === 'EBUSY');
          }
        }
      }
      assert.deepEqual(restoreJournal(place).problems, []);
      untouched();
      assert.ok(!existsSync(place.stateDir) || readdirSync(place.stateDir).length === 0);
    }),
    // Few runs, because each step is synced to disk.
    { numRuns: 40 },
  );
});

test('while somebody else runs a tracer at the top level, our changes there wait', (t) => {
  const { place, stateFile, text, write, plant } = fake(t);
  const owners = ['blk at the top level'];
  plant([
    { file: 'tracing_on', before: '1\n', left: '0', owners },
    { file: 'tracing_thresh', before: '0\n', left: '5', owners: ['hwlat'] },
    { file: 'current_tracer', before: 'nop\n', left: 'blk', owners },
  ]);
  write('tracing_on', '0\n');
  write('tracing_thresh', '5\n');
  write('current_tracer', 'fun\n');
  const first = restoreJournal(place);
  assert.deepEqual(first.restored, ['tracing_thresh']);
  assert.match(
    first.problems.join('\n'),
    /another user has changed .*current_tracer .*tracing_on is not restored while/s,
  );
  assert.deepEqual([text('tracing_on'), text('tracing_thresh')], ['0\n', '0\n']);
  write('current_tracer', 'nop\n');
  assert.deepEqual(restoreJournal(place), { restored: ['tracing_on'], problems: [] });
  assert.equal(text('tracing_on'), '1\n');
  assert.ok(!existsSync(stateFile));
});

test('after a crash, what somebody records at the top level is left alone until it is over', (t) => {
  const { place, stateFile, text, write, plant } = fake(t);
  const owners = ['blk at the top level'];
  const entries = [
    { file: 'osnoise/cpus', before: '0-1\n', left: '2-3', owners },
    { file: 'buffer_size_kb', before: '1000\n', left: '9000', owners },
    { file: 'tracing_on', before: '0\n', left: '1', owners },
    { file: 'current_tracer', before: 'nop\n', left: 'blk', owners },
  ];
  const uses: [string, string, RegExp][] = [
    ['set_event', 'sched:sched_switch\n', /records events there: sched:sched_switch/],
    ['set_event_pid', '17\n', /has set set_event_pid/],
    ['buffer_size_kb', '5000\n', /has set its buffer size to 5000 KiB per CPU/],
  ];
  for (const [file, value, why] of uses) {
    plant(entries);
    write('osnoise/cpus', '2-3\n');
    write('buffer_size_kb', '0007\n');
    write('current_tracer', 'blk\n');
    write(file, value);
    const { restored, problems } = restoreJournal(place);
    assert.deepEqual(restored, ['current_tracer'], 'a tracer that nobody reads only costs');
    assert.match(problems.join('\n'), why);
    assert.equal(problems.length, 3);
    assert.equal(text('osnoise/cpus'), '2-3\n');
    // An agent that started meanwhile does not restore the files on exit either.
    assert.equal(openJournal(place).restore().problems.length, 3);
    write(file, file === 'buffer_size_kb' ? '0007\n' : '');
    assert.deepEqual(restoreJournal(place).problems, []);
    assert.ok(!existsSync(stateFile));
  }
});

test('a journal that cannot be trusted does not concern an agent that needs none', (t) => {
  const { place, stateFile } = fake(t);
  mkdirSync(place.stateDir);
  writeFileSync(stateFile, '{', { mode: 0o600 });
  assert.throws(() => restoreJournal(place), /the file is not JSON/);
  const journal = openJournal(place);
  assert.deepEqual(journal.part('function').restore(), { restored: [], problems: [] });
  assert.deepEqual(journal.restore(), { restored: [], problems: [] });
  assert.equal(readFileSync(stateFile, 'utf8'), '{');
});

/** Simulates a full disk: existing files can be opened and removed, but new ones cannot be created. */
function fillDisk(t: TestContext, stateDir: string): void {
  const { openSync } = fs;
  t.mock.method(fs, 'openSync', (path: string, flags: number, mode?: number) => {
    if (path.startsWith(stateDir) && (flags & fs.constants.O_CREAT) !== 0)
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    return openSync(path, flags, mode);
  });
  syncBuiltinESMExports();
}

test('a full disk does not stop anything from being ended and restored, and then nothing is reported', (t) => {
  const { place, text, untouched, stateFile } = fake(t);
  const journal = openJournal(place);
  const top = journal.part('blk at the top level');
  top.set('osnoise/cpus', '2-3');
  top.set('tracing_on', '0');
  top.set('current_tracer', 'blk');
  top.set('tracing_on', '1');
  journal.part('hwlat').set('tracing_thresh', '5');
  fillDisk(t, place.stateDir);
  try {
    assert.throws(() => top.set('osnoise/cpus', '4-5'), /ENOSPC/);
    assert.equal(text('osnoise/cpus'), '2-3\n', 'what could not be noted is not done');
    top.set('tracing_on', '0');
    assert.equal(text('tracing_on'), '0\n');
    top.set('current_tracer', 'nop');
    assert.deepEqual(top.restore(), { restored: ['tracing_on', 'osnoise/cpus'], problems: [] });
    assert.deepEqual(journal.restore(), { restored: ['tracing_thresh'], problems: [] });
    untouched();
    assert.ok(!existsSync(stateFile));
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
});

test('a read-only state directory is a problem with its errno, and everything is restored', (t) => {
  const { place, plant, write, untouched } = fake(t);
  plant([{ file: 'tracing_thresh', before: '0\n', left: '5', owners: ['hwlat'] }]);
  write('tracing_thresh', '5\n');
  t.mock.method(fs, 'unlinkSync', () => {
    throw Object.assign(new Error('read-only file system'), { code: 'EROFS' });
  });
  syncBuiltinESMExports();
  try {
    const { restored, problems } = restoreJournal(place);
    assert.deepEqual(restored, ['tracing_thresh']);
    assert.match(
      problems.join('\n'),
      /everything in the restore journal is restored, but the journal itself remains: .*EROFS/,
    );
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
  untouched();
});

test('the top level is not taken while the journal of another agent lists any of its files', (t) => {
  const { place } = fake(t);
  const other = { ...place, name: 'other' };
  openJournal(place).part('blk at the top level').set('tracing_on', '0');
  assert.throws(() => takeTopLevel(place.root, openJournal(other), 'blk'), {
    errno: 'EBUSY',
    message: /agent agent has changed tracing_on there: .*cleanup --instance agent/,
  });
});

test("a size that the kernel has rounded up to our sub-buffers is not somebody else's use", (t) => {
  const { place, write, plant, stateFile } = fake(t);
  const owners = ['blk at the top level'];
  for (const size of ['0031', '1422']) {
    plant([
      { file: 'buffer_size_kb', before: '1410\n', left: '9999', owners },
      { file: 'buffer_subbuf_size_kb', before: '04\n', left: '16', owners },
    ]);
    write('buffer_subbuf_size_kb', '16\n');
    write('buffer_size_kb', `${size}\n`);
    assert.deepEqual(restoreJournal(place).problems, [], size);
    assert.ok(!existsSync(stateFile));
  }
});
