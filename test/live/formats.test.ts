/**
 * Parses every format file of the running kernel and compares the result with its text. Needs tracefs; changes nothing.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { bytesReader, intReader } from '../../src/decode/fields.ts';
import { parseFormat } from '../../src/decode/format.ts';
import { flagPairs, switchedOutMask } from '../../src/decode/print-fmt.ts';
import type { EventFormat } from '../../src/model/format.ts';

const EVENTS = '/sys/kernel/tracing/events';
/**
 * In 5.10 this event has two fields of the same name, a text and a number. A look-up by name finds only one of them.
 */
const AMBIGUOUS = 'regmap:regcache_sync';
/** A field as the kernel prints it. Unlike src/decode, this pattern relies on the exact form of the line. */
const LINE = /^\tfield:(.*);\toffset:(\d+);\tsize:(\d+);\tsigned:([01]);$/;

describe('formats of this kernel', () => {
  const formats = new Map<string, { text: string; format: EventFormat }>();

  before(() => {
    for (const system of directories(EVENTS)) {
      for (const name of directories(join(EVENTS, system))) {
        const text = readFileSync(join(EVENTS, system, name, 'format'), 'utf8');
        const format = parseFormat(system, text);
        assert.ok(!('error' in format), `${system}:${name} ${JSON.stringify(format)}`);
        assert.equal(format.system, system);
        assert.equal(format.name, name);
        formats.set(`${system}:${name}`, { text, format });
      }
    }
    assert.ok(formats.size > 100, `only ${formats.size} formats`);
  });

  it('have the ids of the id files, each its own', () => {
    const ids = new Set<number>();
    for (const [event, { format }] of formats) {
      assert.ok(!ids.has(format.id), `${event} has id ${format.id}, which another has`);
      ids.add(format.id);
      const [system, name] = event.split(':');
      if (system === 'ftrace') continue;
      assert.equal(format.id, Number(readFileSync(join(EVENTS, system, name, 'id'), 'utf8')), event);
    }
  });

  it('lose no field and no number of their text', () => {
    for (const [event, { text, format }] of formats) {
      const lines = text.split('\n').flatMap((line) => (line.startsWith('\tfield') ? [line] : []));
      assert.equal(format.fields.length, lines.length, event);
      lines.forEach((line, i) => {
        const match = LINE.exec(line);
        assert.ok(match, `${event}: ${line}`);
        const field = format.fields[i];
        assert.deepEqual(
          [field.offset, field.size, field.signed],
          [+match[2], +match[3], match[4] === '1'],
          line,
        );
        assert.match(match[1], new RegExp(`\\b${field.name}\\b`), line);
        assert.equal(field.array, /\[|__data_loc|__rel_loc/.test(match[1]), line);
      });
    }
  });

  it('have fields that follow each other without overlap', () => {
    for (const [event, { format }] of formats) {
      let end = 0;
      for (const field of [...format.fields].sort((a, b) => a.offset - b.offset)) {
        assert.ok(
          field.offset >= end,
          `${event}.${field.name} at ${field.offset} overlaps what ends at ${end}`,
        );
        assert.ok(
          field.location === 'inline' || field.size === 4,
          `${event}.${field.name}: ${field.size} bytes`,
        );
        end = field.offset + field.size;
      }
      if (event === AMBIGUOUS) continue;
      assert.equal(new Set(format.fields.map((f) => f.name)).size, format.fields.length, event);
    }
  });

  it('give a reader for every field', () => {
    const record = {
      words: new Int32Array(1024),
      bytes: new Uint8Array(0),
      offset: 0,
      length: 4096,
      cpu: 0,
      timestampNs: 1,
    };
    record.bytes = new Uint8Array(record.words.buffer);
    for (const [event, { format }] of formats) {
      if (event === AMBIGUOUS) continue;
      for (const { name, array, size } of format.fields) {
        if (!array && [1, 2, 4, 8].includes(size)) assert.equal(intReader(format, name)(record), 0);
        const reader = bytesReader(format, name);
        assert.ok(reader.end(record) >= reader.start(record));
      }
    }
  });

  it('name values in all their print formats', () => {
    let named = 0;
    for (const [event, { format }] of formats) {
      // Some kernels print names of enums instead of their values. Skip these: src/decode needs numbers.
      if (!/^[^{]*__print_(flags|symbolic)(_u64)?\([^{]*\{\s*\d\w*\s*,/.test(format.printFmt)) continue;
      named++;
      assert.ok(flagPairs(format).length > 0, `${event}: ${format.printFmt}`);
    }
    assert.ok(named > 10, `only ${named} print formats name values`);
    const sched = formats.get('sched:sched_switch');
    if (sched) assert.equal(switchedOutMask(sched.format), 0xff);
  });
});

function directories(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? [e.name] : []));
}
