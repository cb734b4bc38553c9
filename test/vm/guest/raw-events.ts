/** Decodes the raw pages of a stopped recording: all of its events, CPU by CPU, as plain values. */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { bytesReader, intReader, textOf, wordOffset } from '../../../src/decode/fields.ts';
import { parseFormat } from '../../../src/decode/format.ts';
import { Merger } from '../../../src/decode/merge.ts';
import type { EventFormat } from '../../../src/model/format.ts';
import type { EventHandler, EventRecord } from '../../../src/model/record.ts';
import { instanceLayout } from '../../../src/tracefs/buffers.ts';
import { formatText } from '../../../src/tracefs/events.ts';
import { openLivePages } from '../../../src/tracefs/pages.ts';
import { TRACEFS } from './lab.ts';

/** Fields to read of an event, by the way they are read. */
export interface FieldNeeds {
  ints?: readonly string[];
  texts?: readonly string[];
  /** 64 bits, exactly. */
  exact?: readonly string[];
}

export interface RawEvent {
  /** Without the name of its system. */
  name: string;
  cpu: number;
  pid: number;
  timestampNs: number;
  ints: Readonly<Record<string, number>>;
  texts: Readonly<Record<string, string>>;
  exact: Readonly<Record<string, bigint>>;
}

/** Reads all pages of `dir`. Fails on an event that `needs` does not name, so that none is missed. */
export function readRawEvents(
  dir: string,
  needs: Readonly<Record<string, FieldNeeds>>,
): Map<number, RawEvent[]> {
  const events = new Map<number, RawEvent[]>();
  const types = Object.entries(needs).map(([event, fields]) => {
    const [system, name] = event.split(':');
    const format = parseFormat(system, formatText(TRACEFS, event) ?? '');
    assert.ok(!('error' in format), `${event}: ${JSON.stringify(format)} on ${release()}`);
    const read = readerOf(name, format, fields);
    const handler: EventHandler = (record) => {
      const ofCpu = events.get(record.cpu);
      if (ofCpu === undefined) events.set(record.cpu, [read(record)]);
      else ofCpu.push(read(record));
    };
    return { id: format.id, handler, minLength: 0 };
  });
  const fail = (cpu: number, error: string, cause?: unknown) => {
    throw new Error(`CPU ${cpu}: ${error}`, { cause });
  };
  const layout = instanceLayout(dir);
  const merger = new Merger(layout, {
    dispatcher: makeDispatcher(types),
    onLoss: (cpu) => fail(cpu, 'events were lost'),
    onError: fail,
  });
  const pages = openLivePages(dir, layout.pageSize);
  try {
    for (const cpu of pages.cpus()) {
      for (;;) {
        const page = merger.takePage();
        const length = pages.readPage(cpu, page.bytes);
        if (length === 0) break;
        merger.add(cpu, page, length);
      }
    }
    merger.run(Number.POSITIVE_INFINITY);
    for (const cpu of pages.cpus())
      assert.equal(events.get(cpu)?.length ?? 0, merger.events(cpu), `CPU ${cpu} has events of other types`);
  } finally {
    pages.close();
  }
  return events;
}

function readerOf(name: string, format: EventFormat, fields: FieldNeeds): (record: EventRecord) => RawEvent {
  const ints = (fields.ints ?? []).map((field) => [field, intReader(format, field)] as const);
  const texts = (fields.texts ?? []).map((field) => [field, bytesReader(format, field)] as const);
  const exact = (fields.exact ?? []).map((field) => [field, wordOffset(format, field)] as const);
  const pid = intReader(format, 'common_pid');
  return (record) => {
    const event = {
      name,
      cpu: record.cpu,
      pid: pid(record),
      timestampNs: record.timestampNs,
      ints: {} as Record<string, number>,
      texts: {} as Record<string, string>,
      exact: {} as Record<string, bigint>,
    };
    for (const [field, read] of ints) event.ints[field] = read(record);
    for (const [field, reader] of texts) event.texts[field] = textOf(reader, record);
    for (const [field, word] of exact) {
      const at = (record.offset >> 2) + word;
      const low = BigInt(record.words[at] >>> 0);
      event.exact[field] = (BigInt(record.words[at + 1] >>> 0) << 32n) | low;
    }
    return event;
  };
}
