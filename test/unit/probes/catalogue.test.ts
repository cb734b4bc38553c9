/** Rules for every probe of the catalogue. test/unit/docs/probes.test.ts tests the docs that list probes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { BLOCK_EVENT, BLOCK_FORMAT_TEXT } from '../../../src/decode/text/blk-format.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import { fakeContainers } from './fake-containers.ts';
import { run } from './records.ts';

test('names are unique', () => {
  const names = probeCatalogue.map(({ name }) => name);
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
});

test('the probes that are on by default are those that are promised', () => {
  const names = probeCatalogue.filter(({ byDefault }) => byDefault).map(({ name }) => name);
  const advice = 'a new probe is off by default (byDefault: false), because its cost must be chosen';
  assert.deepEqual(names, ['sched', 'block', 'irq', 'softirq'], advice);
});

for (const module of probeCatalogue) {
  test(`${module.name}: the schema has its defaults and refuses unknown keys`, () => {
    assert.equal(
      module.schema(schemaKit).parse({}).enabled,
      module.byDefault,
      'the default of `enabled` in schema() must be `byDefault`',
    );
    assert.throws(
      () => module.schema(schemaKit).parse({ nonesuch: 1 }),
      Error,
      'make schema() with kit.probeSchema(), which refuses unknown keys',
    );
  });

  test(`${module.name}: create() declares the metrics that the module lists`, () => {
    const options = {
      ...(module.name === 'events' && { count: ['sched:*'] }),
      ...(module.name === 'sched' && { per_container: true }),
    };
    // Format texts of tracers come from a kernel in a virtual machine. The record of blk exists only in this project.
    const machine =
      module.tracer === undefined
        ? { host: { containers: fakeContainers([]) } }
        : { kernel: '7.3-rt', formats: { [BLOCK_EVENT]: BLOCK_FORMAT_TEXT } };
    const declared = run(module, options, machine)
      .store.snapshot()
      .families.map(({ spec }) => spec)
      .filter(({ name }) => name.startsWith('ftrace_') && !name.startsWith('ftrace_exporter_'));
    assert.deepEqual(
      declared.map(({ name, labels, help, open }) => ({ name, labels, help, open })),
      module.metrics.map(({ name, labels, help, open = [] }) => ({ name, labels, help, open })),
      `the metrics of src/probes for ${module.name}: \`metrics\` must list what create() declares, in this order`,
    );
  });
}
