/** Compares raw pages that real kernels recorded with those kernels' own text of the same buffers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intReader } from '../../../src/decode/fields.ts';
import type { FunctionNames } from '../../../src/model/function-names.ts';
import { functionCalls } from '../../../src/probes/function.ts';
import { functionGraph } from '../../../src/probes/function-graph.ts';
import { hwlat } from '../../../src/probes/hwlat.ts';
import { osnoise } from '../../../src/probes/osnoise.ts';
import { timerlat } from '../../../src/probes/timerlat.ts';
import { dumpedText, replayDump, seriesOf } from './dumps.ts';
import { loadFormat, TRACER_KERNELS } from './records.ts';

const UNFILTERED = { unfiltered: true };

/** Lines of a CPU, in the order of its buffer; `column` finds the CPU in a line. */
function linesOf(lines: readonly string[], column: RegExp, cpu: number): string[] {
  return lines.filter((line) => Number(column.exec(line)?.[1] ?? -1) === cpu);
}

/** Number of entries with each key, and the sum of their amounts. */
function tally(entries: readonly (readonly [key: string, amount: number])[]) {
  const counts = new Map<string, { value: number; sum: number }>();
  for (const [key, amount] of entries) {
    const entry = counts.get(key) ?? { value: 0, sum: 0 };
    counts.set(key, { value: entry.value + 1, sum: entry.sum + amount });
  }
  return counts;
}

/** Names by address. The names (from text) and the addresses (from records) are in the same order. */
function namesByOrder(addresses: readonly string[], names: readonly string[]): Map<string, string> {
  const namesByAddress = new Map<string, string>();
  addresses.forEach((address, i) => {
    assert.equal(namesByAddress.get(address) ?? names[i], names[i], `record ${i}`);
    namesByAddress.set(address, names[i]);
  });
  return namesByAddress;
}

function functionNames(functions: ReadonlyMap<string, string>): FunctionNames {
  return { generation: 1, nameOf: (low, high) => functions.get(`${low} ${high}`) };
}

const SIGNATURE = /\[(\d{3})\] .*: (\S+) <-\S+$/;

for (const kernel of TRACER_KERNELS) {
  test(`${kernel}: calls of functions are those of the text`, () => {
    const text = dumpedText(kernel, 'function');
    const addresses: string[][] = [[], []];
    const first = replayDump(kernel, 'function', functionCalls, UNFILTERED, {
      watch: (_event, { cpu, words, offset }) => {
        const format = loadFormat('ftrace:function', kernel);
        const at = (offset + (format?.fields.find(({ name }) => name === 'ip')?.offset ?? 0)) >> 2;
        addresses[cpu].push(`${words[at]} ${words[at + 1]}`);
      },
    });
    const lines = [0, 1].map((cpu) => linesOf(text, /\[(\d{3})\]/, cpu).slice(0, addresses[cpu].length));
    const names = lines.map((own) => own.map((line) => SIGNATURE.exec(line)?.[2] ?? line));
    assert.deepEqual(
      names.map((own) => own.length),
      addresses.map((own) => own.length),
    );
    assert.ok(addresses[0].length > 20 && addresses[1].length > 20);
    assert.deepEqual(
      addresses.map((own) => own.length),
      [first.events(0), first.events(1)],
    );

    const namesByAddress = namesByOrder(addresses.flat(), names.flat());
    assert.ok(namesByAddress.size > 1);
    const { store } = replayDump(kernel, 'function', functionCalls, UNFILTERED, {
      functions: functionNames(namesByAddress),
    });
    const counted = new Map(
      [...seriesOf(store, 'ftrace_function_calls_total')].map(([key, { value }]) => [key, value]),
    );
    const expected = tally(names.flatMap((own, cpu) => own.map((name) => [`${name} ${cpu}`, 0] as const)));
    assert.deepEqual(counted, new Map([...expected].map(([key, { value }]) => [key, value])));
  });

  test(`${kernel}: durations of functions are those of the text`, () => {
    const format = loadFormat('ftrace:funcgraph_exit', kernel);
    assert.ok(format);
    const timeOf = ['calltime', 'rettime'].map((field) => intReader(format, field));
    const exact: number[][] = [[], []];
    const { store, events } = replayDump(kernel, 'function_graph', functionGraph, UNFILTERED, {
      watch: (_event, record) => exact[record.cpu].push(timeOf[1](record) - timeOf[0](record)),
    });
    // Each return record is printed as a leaf or a closing brace, which has a duration.
    const printed = [0, 1].map((cpu) =>
      linesOf(dumpedText(kernel, 'function_graph'), /^ *(\d+)\)/, cpu).flatMap((line) => {
        const us = /([\d.]+) us +\|/.exec(line)?.[1];
        return us === undefined ? [] : [us];
      }),
    );
    for (const cpu of [0, 1]) {
      // The text and the pages end at different events, so compare only the common part.
      const both = Math.min(exact[cpu].length, printed[cpu].length);
      assert.ok(both >= 20 && events(cpu) > exact[cpu].length, `${both} of ${events(cpu)}`);
      for (let i = 0; i < both; i++) {
        const us = (exact[cpu][i] / 1000).toFixed(3);
        assert.equal(us.slice(0, printed[cpu][i].length), printed[cpu][i], `CPU ${cpu}, return ${i}`);
      }
    }
    const sums = seriesOf(store, 'ftrace_function_duration_seconds');
    for (const cpu of [0, 1]) {
      assert.deepEqual(sums.get(`unknown ${cpu}`), {
        value: exact[cpu].length,
        sum: exact[cpu].reduce((a, b) => a + b, 0),
      });
    }
  });

  test(`${kernel}: hardware latencies are those of the text`, () => {
    const { store } = replayDump(kernel, 'hwlat', hwlat, {});
    const entries = dumpedText(kernel, 'hwlat').flatMap((line) => {
      const [, cpu, inner, outer] = /\[(\d+)\].*inner\/outer\(us\): *(\d+)\/(\d+) /.exec(line) ?? [];
      return [
        [`inner ${Number(cpu)}`, Number(inner) * 1000],
        [`outer ${Number(cpu)}`, Number(outer) * 1000],
      ] as const;
    });
    assert.ok(entries.length >= 4);
    const shown = seriesOf(store, 'ftrace_hwlat_latency_seconds');
    assert.deepEqual(new Map([...shown].filter(([, { value }]) => value > 0)), tally(entries));
  });
}

for (const kernel of TRACER_KERNELS.filter((name) => name !== '5.10-rt')) {
  test(`${kernel}: timer latencies are those of the text`, () => {
    const { store, events } = replayDump(kernel, 'timerlat', timerlat, { cpus: '0-1' });
    const entries = dumpedText(kernel, 'timerlat')
      .slice(0, events(0))
      .flatMap((line) => {
        const [, cpu, context, ns] = /\[(\d+)\].*context +(\S+) timer_latency +(\d+) ns/.exec(line) ?? [];
        return cpu === undefined ? [] : [[`${context} ${Number(cpu)}`, Number(ns)] as const];
      });
    assert.ok(entries.length > 50);
    const shown = seriesOf(store, 'ftrace_timerlat_latency_seconds');
    assert.deepEqual(new Map([...shown].filter(([, { value }]) => value > 0)), tally(entries));
    const longest = seriesOf(store, 'ftrace_timerlat_max_latency_seconds').get('0 irq')?.value;
    assert.equal(longest, Math.max(...entries.flatMap(([key, ns]) => (key === 'irq 0' ? [ns] : []))));
  });

  test(`${kernel}: noise and its sources are those of the text`, () => {
    const { store, events } = replayDump(kernel, 'osnoise', osnoise, { cpus: '0-1' });
    const text = dumpedText(kernel, 'osnoise');
    const lines = [0, 1].flatMap((cpu) => linesOf(text, /\[(\d{3})\]/, cpu).slice(0, events(cpu)));
    const cpuOf = (line: string) => Number(/\[(\d{3})\]/.exec(line)?.[1]);
    const samples = lines.flatMap((line) => {
      const [, runtime, noise] = /: (\d+) +(\d+) +[\d.]+ +\d+ /.exec(line) ?? [];
      return runtime === undefined
        ? []
        : [{ cpu: cpuOf(line), runtime: Number(runtime), noise: Number(noise) }];
    });
    const causes = lines.flatMap((line) => {
      const cpu = cpuOf(line);
      const gap = /sample_threshold: .*duration (\d+) ns interference 0$/.exec(line);
      if (gap !== null) return [[`hw ${cpu}`, Number(gap[1])] as const];
      const [, source, ns] = /: (\w+)_noise: .*duration (\d+) ns/.exec(line) ?? [];
      return source === undefined ? [] : [[`${source} ${cpu}`, Number(ns)] as const];
    });
    assert.equal(lines.length, events(0) + events(1));
    assert.ok(samples.length > 2);
    assert.ok(causes.length > 20, `${causes.length} lines`);
    const shown = seriesOf(store, 'ftrace_osnoise_interference_seconds');
    assert.deepEqual(new Map([...shown].filter(([, { value }]) => value > 0)), tally(causes));
    for (const cpu of [0, 1]) {
      const total = (name: string) => seriesOf(store, name).get(String(cpu))?.value;
      const own = samples.filter((sample) => sample.cpu === cpu);
      const sumOf = (key: 'runtime' | 'noise') => own.reduce((sum, sample) => sum + sample[key] * 1000, 0);
      assert.equal(total('ftrace_osnoise_runtime_seconds_total'), sumOf('runtime'));
      assert.equal(total('ftrace_osnoise_noise_seconds_total'), sumOf('noise'));
    }
  });
}
