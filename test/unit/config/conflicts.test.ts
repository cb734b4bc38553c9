import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { UsageError } from '../../../src/model/errors.ts';
import { LATENCY_TRACERS } from '../../../src/model/tracer.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-conflicts-'));
after(() => rmSync(directory, { recursive: true }));

interface Given {
  flags?: string[];
  env?: Record<string, string>;
}

/** Problems of probes, one per line; none if the config is good. */
function problems(probes: string[], { flags = [], env = {} }: Given = {}): string[] {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, `probes:\n  sched:\n${probes.map((line) => `  ${line}\n`).join('')}`);
  try {
    loadAgentConfig({ file, env, probes: flags.map((name) => ({ name, on: true })) });
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message.replaceAll(`${directory}/`, '').split('\n');
  }
  return [];
}

test('a conflict is reported once, with both places and the reason', () => {
  assert.deepEqual(problems(['timerlat: { cpus: 1 }', 'osnoise: { cpus: 1 }']), [
    'c.yaml:4:3: probes.osnoise: cannot be on together with timerlat (c.yaml:3:3): the kernel ' +
      'implements both with the same code and runs only one of them at a time',
  ]);
});

test('flags and variables have a place too', () => {
  const [line] = problems(['wakeup:'], { flags: ['irqsoff'] });
  assert.match(line, /^c\.yaml:3:3: probes\.wakeup: cannot be on together with irqsoff \(--probe\): /);
  const [other] = problems([], { flags: ['wakeup'], env: { FTRACE_EXPORTER_PROBE: 'irqsoff' } });
  assert.match(other, /^--probe: probes\.wakeup: .* irqsoff \(FTRACE_EXPORTER_PROBE\): /);
});

test('a probe that is off conflicts with nothing', () => {
  assert.deepEqual(problems(['timerlat: { cpus: 1 }', 'osnoise: { cpus: 1, enabled: false }']), []);
  assert.deepEqual(problems(['wakeup: { enabled: false }', 'irqsoff:']), []);
});

test('any two latency tracers', () => {
  for (const a of LATENCY_TRACERS) {
    assert.deepEqual(problems([`${a}:`]), []);
    for (const b of LATENCY_TRACERS) {
      if (a === b) continue;
      const lines = problems([`${a}:`, `${b}:`]);
      assert.equal(lines.length, 1, `${a} and ${b}`);
      assert.match(lines[0], /only one latency tracer can run at a time/);
    }
  }
});

test('a threshold hides what is below it from function_graph and the latency tracers', () => {
  const graph = 'function_graph: { functions: ["vfs_*"] }';
  const hwlat = 'hwlat: { cpus: 1 }';
  const osnoise = (threshold: string) => `osnoise: { cpus: 1${threshold} }`;
  for (const blind of [graph, ...LATENCY_TRACERS.map((name) => `${name}:`)]) {
    const [line] = problems([hwlat, blind]);
    assert.match(line, /^c\.yaml:3:3: probes\.hwlat: .*tracing_thresh/, blind);
    assert.match(
      problems([osnoise(', threshold: 5us'), blind])[0],
      /probes\.osnoise: .*tracing_thresh/,
      blind,
    );
    assert.deepEqual(problems([osnoise(''), blind]), [], blind);
  }
  assert.deepEqual(
    problems([hwlat, 'function: { functions: ["vfs_*"] }', 'timerlat: { cpus: 1 }', 'blk:']),
    [],
  );
});

test('hwlat and osnoise share one threshold', () => {
  const both = (hwlat: string, osnoise: string) =>
    problems([`hwlat: { cpus: 1${hwlat} }`, `osnoise: { cpus: 1${osnoise} }`]);
  assert.deepEqual(both(', threshold: 20us', ', threshold: 20us'), []);
  assert.deepEqual(both('', ', threshold: 10us'), []);
  assert.match(both('', '')[0], /hwlat sets 10us and osnoise none: give both the same threshold/);
  assert.match(both(', threshold: 1ms', ', threshold: 5us')[0], /hwlat sets 1ms and osnoise 5us/);
});

test('a probe that takes CPU time is refused without CPUs, also on the command line', () => {
  for (const name of ['osnoise', 'timerlat', 'hwlat']) {
    assert.match(
      problems([`${name}:`])[0],
      new RegExp(`^c\\.yaml:3:3: probes\\.${name}\\.cpus: list the CPUs`),
    );
    assert.match(
      problems([], { flags: [name] })[0],
      new RegExp(`probes\\.${name}\\.cpus: list the CPUs .* loses time: `),
    );
  }
  for (const name of ['function', 'function_graph']) {
    assert.match(problems([], { flags: [name] })[0], /list at least one function to trace/);
  }
});
