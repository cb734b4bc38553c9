import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseCpuStats } from '../../../src/tracedat/cpu-stats.ts';
import { parseStats } from '../../../src/tracefs/stats.ts';

const TEXT = readFileSync(join(import.meta.dirname, '../../fixtures/text/cpu-stats.txt'), 'utf8');

test("both readers of a CPU's stats accept a label followed by spaces", () => {
  const expected = {
    cpu: 0,
    entries: 1,
    overrun: 2,
    commitOverrun: 0,
    droppedEvents: 7,
    readEvents: 8,
    bytes: 0,
  };
  assert.deepEqual(parseCpuStats(TEXT), expected);
  assert.deepEqual(parseStats(TEXT, 0), expected);
});
