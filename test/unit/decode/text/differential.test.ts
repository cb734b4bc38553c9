/**
 * Compares raw pages with the kernel's own text of the same buffer, from kernels in virtual machines: each record in
 * the pages must have a line, in the same order, with the same task, flags and fields.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { makeDispatcher } from '../../../../src/decode/dispatch.ts';
import { Merger } from '../../../../src/decode/merge.ts';
import { textProblem } from '../../../../src/decode/text/line-types.ts';
import type { TextEventType } from '../../../../src/decode/text/types.ts';
import { LAYOUT_4K } from '../../../support/pages.ts';
import { type Call, callOf, decodeText, formatOf } from './support.ts';

const FIXTURES = new URL('../../../fixtures/', import.meta.url);
const KERNELS = ['5.10-rt', '6.1-rt', '6.12-rt', '7.3-rt'];
const CPUS = [0, 1];
/** Fields that the text does not show as they are, for example because %p prints a hash instead of an address. */
const PRINTED_OTHERWISE = new Set(['__syscall_nr', 'args', 'work']);
/** Events that each kind of text does not show. In function_graph's text, a marker has no event name. */
const LACKS: Readonly<Record<string, RegExp>> = {
  events: /^ftrace:func/,
  function: /^ftrace:funcgraph/,
  function_graph: /^ftrace:(?:print|function)$/,
};
const ADDRESSES = new Set(['ip', 'parent_ip', 'func', 'function']);
/** TRACE_FLAG_IRQS_OFF, _HARDIRQ, _SOFTIRQ, _NMI. Other flags have different bits on real-time kernels. */
const FLAGS_OF_ALL_KERNELS = 0x59;

function rawCalls(files: readonly URL[], types: readonly TextEventType[]): Call[] {
  const calls: Call[] = [];
  const dispatcher = makeDispatcher(
    types.map((type) => {
      const read = callOf(type, undefined);
      const addresses = type.format.fields.filter(({ name }) => ADDRESSES.has(name));
      return {
        id: type.format.id,
        minLength: 8,
        handler: (record) => {
          const call = read(record);
          // Keep only the low word of an address, because a double cannot represent all 64 bits.
          for (const { name, offset } of addresses)
            call.fields[name] = record.words[(record.offset + offset) >> 2];
          calls.push(call);
        },
      };
    }),
  );
  const merger = new Merger(LAYOUT_4K, { dispatcher, onLoss: () => {}, onError: assert.fail });
  files.forEach((file, cpu) => {
    const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += LAYOUT_4K.pageSize) {
      const page = merger.takePage();
      page.bytes.set(bytes.subarray(at, at + LAYOUT_4K.pageSize));
      merger.add(cpu, page, LAYOUT_4K.pageSize);
    }
  });
  merger.run(Number.POSITIVE_INFINITY);
  return calls;
}

/** Returns the differences between two calls. Adds the name of each address to `names`. */
function differences(raw: Call, text: Call, isGraph: boolean, names: Map<unknown, unknown>): string[] {
  const problems: string[] = [];
  const differ = (what: string, a: unknown, b: unknown) => {
    if (a !== b)
      problems.push(`${raw.event} ${what}: ${JSON.stringify(a)} in pages, ${JSON.stringify(b)} in text`);
  };
  differ('event', raw.event, text.event);
  if (raw.event !== text.event) return problems;
  differ('pid', raw.pid, text.pid);
  // One line can stand for an entry and its exit; it has the flags of the entry.
  if (raw.event !== 'ftrace:funcgraph_exit') {
    differ('flags', raw.flags & FLAGS_OF_ALL_KERNELS, text.flags & FLAGS_OF_ALL_KERNELS);
  }
  // Times are rounded; function_graph cuts them. If one line is both entry and exit, the exit's time in its text is
  // that of the entry plus the duration.
  const cut = (ns: number) => Math.floor(ns / 1000) * 1000;
  if (raw.event !== 'ftrace:funcgraph_exit') {
    differ('stamp', cut(isGraph ? raw.timestampNs : raw.timestampNs + 500), text.timestampNs);
  }
  for (const [name, value] of Object.entries(raw.fields)) {
    const printed = text.fields[name];
    if (ADDRESSES.has(name)) {
      if (!names.has(value)) names.set(value, printed);
      differ(name, names.get(value), printed);
    } else if (name === 'calltime') {
      const duration = (call: Call) => Number(call.fields.rettime) - Number(call.fields.calltime);
      differ('duration', asPrinted(duration(raw)), duration(text));
    } else if (name === 'buf') {
      differ(name, String(value).trimEnd(), printed);
    } else if (raw.event === 'irq:irq_handler_exit' && name === 'ret') {
      differ(name, Number(value) > 0, Number(printed) > 0);
    } else if (name !== 'rettime') {
      differ(name, value, printed);
    }
  }
  return problems;
}

/** Rounds a duration down as the text does, which shows seven digits: trace_print_graph_duration(). */
function asPrinted(ns: number): number {
  const digits = String(Math.floor(ns / 1000)).length;
  const unit = 10 ** Math.max(0, Math.min(3, digits - 4));
  return Math.floor(ns / unit) * unit;
}

interface Fixture {
  kernel: string;
  name: string;
  text: URL;
  pages: URL[];
  types: TextEventType[];
}

function ownFixtures(): Fixture[] {
  return KERNELS.flatMap((kernel) =>
    Object.keys(LACKS).flatMap((name) => {
      const at = (end: string) => new URL(`text/${kernel}.${name}.${end}`, FIXTURES);
      if (!existsSync(at('txt'))) return [];
      const formats = new URL(`text/formats-${kernel}/`, FIXTURES);
      const events = readdirSync(formats).flatMap((system) =>
        readdirSync(new URL(`${system}/`, formats)).map((event) => `${system}:${event}`),
      );
      const types = events
        .filter((event) => !LACKS[name].test(event))
        .map((event) => wholeType(`text/formats-${kernel}`, event));
      return [{ kernel, name, text: at('txt'), pages: CPUS.map((cpu) => at(`raw${cpu}`)), types }];
    }),
  );
}

/** Buffers of tracers that were recorded for the tests of their probes. */
function tracerFixtures(): Fixture[] {
  return KERNELS.flatMap((kernel) => {
    const formats = `formats-${kernel}`;
    return ['function', 'function_graph', 'timerlat', 'osnoise', 'hwlat'].flatMap((name) => {
      const at = (end: string) => new URL(`tracers-${kernel}/${name}.${end}`, FIXTURES);
      if (!existsSync(at('txt'))) return [];
      const own = name === 'function_graph' ? ['funcgraph_entry', 'funcgraph_exit'] : [name];
      const events = own.map((event) => `ftrace:${event}`);
      const isOsnoise = name === 'timerlat' || name === 'osnoise';
      if (isOsnoise)
        events.push(
          ...readdirSync(new URL(`${formats}/osnoise`, FIXTURES)).map((event) => `osnoise:${event}`),
        );
      const types = events
        .filter((event) => existsSync(new URL(`${formats}/${event.replace(':', '/')}`, FIXTURES)))
        .map((event) => wholeType(formats, event));
      return [{ kernel, name, text: at('txt'), pages: CPUS.map((cpu) => at(`raw${cpu}`)), types }];
    });
  });
}

/** An event with all the fields that its text gives. */
function wholeType(directory: string, event: string): TextEventType {
  const format = formatOf(directory, event);
  const fields = format.fields
    .map((field) => field.name)
    .filter((name) => !name.startsWith('common_') && !PRINTED_OTHERWISE.has(name))
    .filter((name) => textProblem({ event, format, fields: [name] }) === undefined);
  return { event, format, fields };
}

/** Without the option funcgraph-abstime, the text of function_graph has neither times nor tasks. */
const hasTimes = ({ name, text }: Fixture) =>
  name !== 'function_graph' || /^ *\d+\.\d{6} \|/m.test(readFileSync(text, 'latin1'));

const compared = new Map<string, number>();
for (const fixture of [...ownFixtures(), ...tracerFixtures()]) {
  describe(`${fixture.name} of ${fixture.kernel}`, () => {
    it('is the same in pages and in text', () => {
      const raw = rawCalls(fixture.pages, fixture.types);
      const { calls, errors } = decodeText(readFileSync(fixture.text), fixture.types, {
        isGraph: fixture.name === 'function_graph',
      });
      assert.deepEqual(errors, []);
      const withTimes = hasTimes(fixture);
      const isGraph = fixture.name === 'function_graph';
      const names = new Map<unknown, unknown>();
      const compare = (a: Call, b: Call, pairs: Map<unknown, unknown>) => {
        const asFarAsPrinted = withTimes
          ? a
          : { ...a, pid: b.pid, flags: b.flags, timestampNs: b.timestampNs };
        return differences(asFarAsPrinted, b, isGraph, pairs).filter(
          (line) => withTimes || !/ stamp:/.test(line),
        );
      };
      for (const cpu of CPUS) {
        const [inPages, inText] = [raw, calls].map((all) => all.filter((call) => call.cpu === cpu));
        if (inPages.length === 0 || inText.length === 0) continue;
        // The pages and the text can begin and end at different events, so find the first common one.
        const isStart = (i: number, j: number) => {
          const pairs = new Map<unknown, unknown>();
          return inPages
            .slice(i, i + 12)
            .every(
              (call, k) => inText[j + k] !== undefined && compare(call, inText[j + k], pairs).length === 0,
            );
        };
        // If the pages begin with an exit, skip it: its line in the text also stands for the entry, which they lack.
        const at = [0, 1, 2].map((i) => [i, inText.findIndex((_, j) => isStart(i, j))] as const);
        const [skipped, from] = at.find(([, j]) => j >= 0) ?? [0, 0];
        const length = Math.min(inPages.length - skipped, inText.length - from);
        for (let i = 0; i < length; i++) {
          const [inPage, printed] = [inPages[skipped + i], inText[from + i]];
          assert.deepEqual(compare(inPage, printed, names), [], `event ${i} of CPU ${cpu}`);
          compared.set(inPage.event, (compared.get(inPage.event) ?? 0) + 1);
        }
        assert.ok(
          length > Math.min(inPages.length, inText.length) / 2,
          `${length} of ${inPages.length} on CPU ${cpu}`,
        );
      }
    });
  });
}

describe('what was compared', () => {
  it('has enough of every kind', () => {
    const least: Record<string, number> = {
      'sched:sched_switch': 500,
      'sched:sched_wakeup': 300,
      'raw_syscalls:sys_enter': 100,
      'raw_syscalls:sys_exit': 100,
      'irq:softirq_raise': 100,
      'irq:irq_handler_entry': 20,
      'syscalls:sys_exit_openat': 5,
      'ftrace:function': 500,
      'ftrace:funcgraph_entry': 500,
      'ftrace:funcgraph_exit': 500,
      'ftrace:timerlat': 500,
      'ftrace:osnoise': 5,
      'ftrace:hwlat': 5,
      'osnoise:thread_noise': 20,
      'osnoise:sample_threshold': 150,
    };
    for (const [event, count] of Object.entries(least)) {
      assert.ok((compared.get(event) ?? 0) >= count, `${compared.get(event)} of ${event}`);
    }
  });
});
