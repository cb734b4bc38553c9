/** Compares the syscall events of the running kernel with the tables. Needs tracefs; changes nothing. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { machine } from 'node:os';
import { describe, it } from 'node:test';
import { syscallEventName, syscallTable } from '../../src/host/syscalls.ts';

const EVENTS = '/sys/kernel/tracing/events/syscalls';

describe('syscall events of this kernel', () => {
  const events = new Set(
    readdirSync(EVENTS).flatMap((name) =>
      name.startsWith('sys_enter_') ? [name.slice('sys_enter_'.length)] : [],
    ),
  );
  const table = syscallTable(machine());
  const names = (table?.ids ?? []).map((id) => table?.name(id) ?? '');

  it('are all named by the table', () => {
    assert.ok(events.size > 250, `only ${events.size} events`);
    const named = new Set(names.map((name) => syscallEventName(name, machine())));
    assert.deepEqual(
      [...events].filter((event) => !named.has(event)),
      [],
    );
  });

  it('are each the event of one syscall', () => {
    const renamed = names.filter((name) => syscallEventName(name, machine()) !== name);
    for (const name of renamed) assert.ok(!events.has(name), `${name} has an event of its own name`);
    const shared = names.map((name) => syscallEventName(name, machine()));
    assert.equal(new Set(shared).size, shared.length);
  });
});
