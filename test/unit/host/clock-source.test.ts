import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clockSource, clockSourceWarning } from '../../../src/host/clock-source.ts';

test('the current clocksource; none where sysfs does not tell', (t) => {
  const sysfs = mkdtempSync(join(tmpdir(), 'sysfs-'));
  t.after(() => rmSync(sysfs, { recursive: true }));
  assert.equal(clockSource(sysfs), '');
  const dir = join(sysfs, 'devices/system/clocksource/clocksource0');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'current_clocksource'), 'hpet\n');
  assert.equal(clockSource(sysfs), 'hpet');
});

test('slow clocksources are warned of, others are not', () => {
  for (const name of ['hpet', 'acpi_pm']) assert.match(clockSourceWarning(name), new RegExp(name));
  for (const name of ['tsc', 'kvm-clock', 'arch_sys_counter', '']) assert.equal(clockSourceWarning(name), '');
});
