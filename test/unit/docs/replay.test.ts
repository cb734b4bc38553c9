/** docs/replay.md and `replay --help` must name every kind of text that replay reads or refuses. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertNoAdvice } from '../../support/advice.ts';
import { replayed } from '../../support/replayed.ts';

const ROOT = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

/** Kinds of text that replay refuses by name: words of the error, and words of the docs. */
const REFUSED = {
  'function_graph without durations': 'function_graph without durations',
  'function_graph without CPUs': 'without durations or without CPUs',
  'calls of function_graph': 'calls of function_graph in `trace-cmd report`',
  'without task, CPU and time': '`context-info`',
  'perf script': '`perf script`',
  blkparse: '`blkparse`',
  'a web page': 'web pages',
  JSON: 'JSON',
};

test('docs/replay.md names each kind of text that replay refuses by name', () => {
  const docs = read('docs/replay.md').replaceAll(/\s+/g, ' ');
  const messages = read('src/tracetext/text-refusals.ts') + read('src/tracetext/text-file.ts');
  for (const part of Object.keys(REFUSED)) assert.ok(messages.includes(part), `no error says ${part}`);
  assertNoAdvice(
    Object.values(REFUSED)
      .filter((words) => !docs.includes(words))
      .map((words) => `docs/replay.md: "Replay refuses other text" must name ${words}`),
  );
});

/** Words for each kind of text that test/unit/agent/foreign-text.test.ts replays. */
const READ = [
  ...['task ids in 5 columns', 'or 7', 'thread groups', 'flags of 4, 5 or 7 characters, or none'],
  ...['indented', 'trimmed on the left', 'names longer than 16 columns', 'Windows line ends'],
  ...['a byte order mark', 'no newline at the end', '`latency-format` of every tracer except `nop`'],
  ...['`success=1`', 'states `x`, `D\\|K`', 'hwlat without `count:`', '`trace-cmd report`', 'Android'],
];

test('docs/replay.md names each variant of text that replay reads, and its examples can be read', (t) => {
  const docs = read('docs/replay.md');
  const table = docs.slice(docs.indexOf('| variant |'), docs.indexOf('Replay refuses other text'));
  assertNoAdvice(
    READ.filter((words) => !table.includes(words)).map(
      (words) => `docs/replay.md: the table of variants must name ${words}`,
    ),
  );
  const directory = mkdtempSync(join(tmpdir(), 'docs-replay-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'trace.txt');
  const examples = [...table.matchAll(/\| `(\S+-\d+ .*: …)` \|$/gm)].map(([, line]) => line);
  assert.equal(examples.length, 2);
  for (const line of examples) {
    writeFileSync(file, `${line.replace('…', 'sched_wakeup: comm=a pid=7 prio=120 target_cpu=000')}\n`);
    assert.equal(replayed(file).value('ftrace_sched_wakeups_total'), 1, line);
  }
});

test('replay --help names each program and file whose output it reads', () => {
  const help = execFileSync(process.execPath, ['bin/ftrace-exporter.js', 'replay', '--help'], {
    cwd: ROOT,
    encoding: 'utf8',
  }).replaceAll(/\s+/g, ' ');
  for (const words of ['trace.dat', 'version 6 or 7', 'trace, trace_pipe or trace-cmd report', 'Android'])
    assert.ok(help.includes(words), `replay --help does not name ${words}`);
  assert.match(help, /regular, uncompressed file/);
});
