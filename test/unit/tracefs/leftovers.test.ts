import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openTracers } from '../../../src/agent/live/tracers.ts';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import type { Log } from '../../../src/model/log.ts';
import type { Instance } from '../../../src/tracefs/instance.ts';
import { foreignTracer, journalState } from '../../../src/tracefs/journal/leftovers.ts';
import { bootId } from '../../../src/tracefs/journal/state.ts';
import { fakeTracefs } from './fake.ts';

test('a tracer at the top level that is not ours is named', (t) => {
  const root = fakeTracefs(t, { current_tracer: 'blk\n' });
  assert.match(
    foreignTracer(root) ?? '',
    /^tracer blk runs at the top level of .*, and this agent did not start it/,
  );
  writeFileSync(join(root, 'current_tracer'), 'nop\n');
  assert.equal(foreignTracer(root), undefined);
});

test('a start warns about it once, and the status shows it', (t) => {
  const root = fakeTracefs(t, { current_tracer: 'blk\n' });
  const file = join(root, 'config.yaml');
  writeFileSync(file, `state_dir: ${join(root, 'state')}\n`);
  const warned: string[] = [];
  const log: Log = { debug() {}, info() {}, warn: (_, message) => void warned.push(message), error() {} };
  const tracers = openTracers(loadAgentConfig({ file, env: {} }), { root } as Instance, log);
  assert.equal(warned.length, 1);
  assert.match(warned[0] ?? '', /^tracer blk runs at the top level/);
  assert.deepEqual(tracers.leftovers, warned);
});

test('a journal is named with what it lists, and with why it cannot be restored from here', (t) => {
  const root = fakeTracefs(t, { tracing_on: '0\n' });
  const place = { root, stateDir: join(root, 'state'), name: 'agent' };
  assert.equal(journalState(place), undefined);
  mkdirSync(place.stateDir);
  const entries = [{ file: 'tracing_on', before: '1\n', owners: ['blk at the top level'] }];
  const state = JSON.stringify({ version: 1, boot: bootId(), entries });
  writeFileSync(join(place.stateDir, 'agent.journal.json'), state, { mode: 0o600 });
  assert.match(journalState(place) ?? '', /agent\.journal\.json lists tracing_on$/);
  rmSync(join(root, 'tracing_on'));
  assert.match(journalState(place) ?? '', /lists tracing_on$/, 'what is no more need not be put back');
  // `osnoise` is not a directory here, so access to `osnoise/cpus` is refused, as on a read-only mount.
  writeFileSync(join(root, 'osnoise'), '');
  const below = [{ file: 'osnoise/cpus', before: '0\n', owners: ['osnoise'] }];
  const other = JSON.stringify({ version: 1, boot: bootId(), entries: below });
  writeFileSync(join(place.stateDir, 'agent.journal.json'), other, { mode: 0o600 });
  assert.match(
    journalState(place) ?? '',
    /; it cannot be restored from here: cannot write .*osnoise\/cpus: ENOTDIR$/,
  );
});
