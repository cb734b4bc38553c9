/** Kinds of traces in the config: what turns one on, and what it needs. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { UsageError } from '../../../src/model/errors.ts';
import { LATENCY_TRACERS } from '../../../src/model/tracer.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-kinds-'));
after(() => rmSync(directory, { recursive: true }));

function load(text: string) {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, text);
  return loadAgentConfig({ file, env: {}, probes: [] });
}

function problem(text: string): string {
  try {
    load(text);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message.replaceAll(`${directory}/`, '');
  }
  return '';
}

test('a kind that is named without options is on, with its defaults', () => {
  const kinds = (text: string) => load(`spans:\n  kinds:\n    ${text}\n`).spans?.kinds;
  const { thresholdNs, classes, ...others } = kinds('syscalls:')?.syscalls ?? { thresholdNs: 0 };
  assert.deepEqual([thresholdNs, classes], [10e6, ['normal', 'rt']]);
  assert.ok(Object.values(others).every((value) => value === undefined));
  assert.deepEqual(kinds('syscalls:'), kinds('syscalls: {}'));
  assert.deepEqual(kinds('block: { threshold: }'), kinds('block:'));
  assert.equal(load('spans:\n  kinds:\n').spans, undefined);
  assert.equal(load('spans:\n').spans, undefined);
});

test('kinds of tasks can be limited by process, container and class', () => {
  const limits =
    'processes: [pg*], exclude_processes: [sh], containers: ["4f*"], exclude_containers: [x], classes: [idle]';
  for (const kind of ['syscalls', 'sched', 'block']) {
    const { spans } = load(`spans:\n  kinds:\n    ${kind}: { ${limits} }\n`);
    assert.partialDeepStrictEqual(spans?.kinds[kind as 'sched'], {
      processes: ['pg*'],
      excludeProcesses: ['sh'],
      containers: ['4f*'],
      excludeContainers: ['x'],
      classes: ['idle'],
    });
    // These filters need the containers of tasks.
    assert.equal(spans?.containers, true);
  }
  assert.equal(load('spans:\n  kinds:\n    sched: { processes: [x] }\n').spans?.containers, false);
  assert.match(
    problem('spans:\n  kinds:\n    sched: { classes: [fair] }\n'),
    /sched\.classes.*fair|normal, rt/,
  );
  assert.match(problem('spans:\n  kinds:\n    osnoise: { processes: [x] }\n'), /processes/);
});

test('a kind of a tracer needs its probe, and the error says what for', () => {
  const kind = (name: string, probes: string) =>
    problem(`probes:\n  sched:\n${probes}spans:\n  kinds:\n    ${name}: {}\n`);
  assert.equal(
    kind('timerlat', ''),
    'c.yaml:5:5: spans.kinds.timerlat needs probes.timerlat, which chooses the CPUs',
  );
  assert.match(kind('osnoise', ''), /spans\.kinds\.osnoise needs probes\.osnoise, which chooses the CPUs$/);
  assert.match(kind('function_graph', ''), /needs probes\.function_graph, which chooses the functions$/);
  for (const tracer of LATENCY_TRACERS) {
    assert.match(kind(tracer, ''), /, which runs the tracer$/);
    assert.equal(kind(tracer, `  ${tracer}:\n`), '');
  }
  assert.equal(kind('timerlat', '  timerlat: { cpus: 1 }\n'), '');
  assert.match(kind('timerlat', '  timerlat: { cpus: 1, enabled: false }\n'), /needs probes\.timerlat/);
  // These kinds do not need a probe, because helpers provide their events.
  for (const name of ['syscalls', 'block', 'sched']) assert.equal(kind(name, ''), '');
});
