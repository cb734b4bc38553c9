/**
 * Names in a config that match nothing on this machine are named by check-config, doctor, the log and the status, even
 * if other names of the same list match.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ProbeStatus } from '../../src/model/status.ts';
import { BIN, cleanEnvironment, makeBench } from '../support/agent.ts';

const bench = makeBench('unmatched');
const PROBES = {
  events: { count: ['nosys:no_event', 'sched:sched_process_exec'] },
  syscalls: { include: ['fsync', 'fsnyc'] },
  block: { devices: ['nosuchdisk'] },
};
const NOTES: [probe: string, note: RegExp][] = [
  ['events', /count: no event of this (machine|kernel) matches "nosys:no_event"/],
  ['syscalls', /include: no syscall of this (machine|kernel) matches "fsnyc"/],
  ['block', /devices: no disk of this (machine|kernel) matches "nosuchdisk"/],
];
function cli(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [BIN, ...args], {
    env: cleanEnvironment(),
    encoding: 'utf8',
  });
  assert.notEqual(status, null, stderr);
  return stdout;
}

function fileOf(name: string): string {
  const file = join(bench.directory, name);
  const instance = bench.instanceName('names');
  writeFileSync(file, JSON.stringify({ instance, probes: PROBES }));
  return file;
}

/** Asserts that each name has a line, and that no other name has one. */
function assertNamed(lines: readonly string[], notes: readonly [string, RegExp][], where: string): void {
  for (const [probe, note] of notes)
    assert.equal(
      lines.filter((line) => line.includes(probe) && note.test(line)).length,
      1,
      `${where}: ${note}`,
    );
  assert.equal(lines.length, notes.length, `${where}: ${lines.join('\n')}`);
}

const areAbout = (line: string) => line.includes(' matches ');

test('names that match nothing are named by check-config', () => {
  const lines = cli('check-config', fileOf('check.yaml')).split('\n').filter(areAbout);
  assertNamed(lines, NOTES, 'check-config');
  for (const line of lines) assert.match(line, /^warning: probes\.\w+\.\w+: no /);
});

test('names that match nothing are named by doctor, as text and as JSON', () => {
  const file = fileOf('doctor.yaml');
  const text = cli('doctor', '--config.file', file);
  const notes = text.slice(text.indexOf('\nnotes about enabled probes\n'));
  assertNamed(notes.split('\n').filter(areAbout), NOTES, 'doctor');
  const { probes } = JSON.parse(cli('doctor', '--json', '--config.file', file)) as {
    probes: { name: string; notes: string[] }[];
  };
  const inNotes = probes.flatMap((probe) => probe.notes.map((note) => `${probe.name} ${note}`));
  assertNamed(inNotes.filter(areAbout), NOTES, 'doctor --json');
});

test('names that match nothing are named by the log and the status of the agent', async () => {
  const agent = await bench.start({ probes: PROBES });
  const status = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
    capture: { probes: ProbeStatus[] };
  };
  const inNotes = status.capture.probes.flatMap(({ name, notes = [] }) =>
    notes.map((note) => `${name} ${note}`),
  );
  assertNamed(inNotes.filter(areAbout), NOTES, 'status');
  const logged = agent.stderr().replaceAll('\\"', '"').split('\n').filter(areAbout);
  assertNamed(logged, NOTES, 'log');
  for (const line of logged) assert.match(line, /level=warn .*msg="probe is on, but with a limitation"/);
  assert.equal(await agent.stop(), 0, agent.stderr());
});

test('if no name matches, the log does not report that the probe is on', async () => {
  const agent = await bench.start({ probes: { events: { count: ['nosys:no_event'] } } });
  const lines = agent
    .stderr()
    .split('\n')
    .filter((line) => line.includes('probe=events'));
  assert.equal(lines.length, 2, lines.join('\n'));
  assert.match(lines[0], /msg="probe is off"/);
  assert.match(lines[1], /msg="a name in the config of the probe matches nothing".*nosys:no_event/);
  assert.equal(await agent.stop(), 0, agent.stderr());
});
