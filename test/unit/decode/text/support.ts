/** Feeds text to a decoder and records the calls of its handlers. */
import { readFileSync } from 'node:fs';
import { makeDispatcher } from '../../../../src/decode/dispatch.ts';
import { bytesReader, intReader } from '../../../../src/decode/fields.ts';
import { parseFormat } from '../../../../src/decode/format.ts';
import { makeTextDecoder, type TextDecoder } from '../../../../src/decode/text/decoder.ts';
import {
  type FunctionInterner,
  makeFunctionInterner,
} from '../../../../src/decode/text/function-interner.ts';
import type { TextEventType } from '../../../../src/decode/text/types.ts';
import type { EventFormat } from '../../../../src/model/format.ts';
import type { EventRecord } from '../../../../src/model/record.ts';

const FIXTURES = new URL('../../../fixtures/', import.meta.url);
const FUNCTION_FIELDS = new Set(['ip', 'parent_ip', 'func', 'function']);

export function fixture(name: string): Buffer {
  return readFileSync(new URL(name, FIXTURES));
}

/** The format of an event from the fixtures. `directory`: for example `formats-6.18`. */
export function formatOf(directory: string, event: string): EventFormat {
  return parsed(event.split(':')[0], fixture(`${directory}/${event.replace(':', '/')}`).toString('latin1'));
}

export function parsed(system: string, text: string): EventFormat {
  const format = parseFormat(system, text);
  if ('error' in format) throw new Error(format.error);
  return format;
}

export function typeOf(directory: string, event: string, fields: readonly string[]): TextEventType {
  return { event, format: formatOf(directory, event), fields };
}

export interface Call {
  event: string;
  cpu: number;
  timestampNs: number;
  pid: number;
  flags: number;
  /** Values of the fields. Strings have one character per byte. A function is its name. */
  fields: Record<string, number | string | undefined>;
}

/** Reads the fields of a record. */
export function callOf(type: TextEventType, functions: FunctionInterner | undefined) {
  const { event, format, fields } = type;
  const readers = fields.map((name) => {
    const field = format.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${event} has no field ${name}`);
    if (field.array) {
      const bytes = bytesReader(format, name);
      return [
        name,
        (record: EventRecord) =>
          Buffer.from(record.bytes.subarray(bytes.start(record), bytes.end(record))).toString('latin1'),
      ] as const;
    }
    const int = intReader(format, name);
    if (functions === undefined || !FUNCTION_FIELDS.has(name)) return [name, int] as const;
    return [name, (record: EventRecord) => functions.nameOf(int(record), 0)] as const;
  });
  const pid = intReader(format, 'common_pid');
  const flags = intReader(format, 'common_flags');
  return (record: EventRecord): Call => ({
    event,
    cpu: record.cpu,
    timestampNs: record.timestampNs,
    pid: pid(record),
    flags: flags(record),
    fields: Object.fromEntries(readers.map(([name, read]) => [name, read(record)])),
  });
}

export interface Decoded {
  calls: Call[];
  losses: [cpu: number, untilNs: number][];
  errors: [cpu: number, error: string][];
  decoder: TextDecoder;
  /** Descriptions of calls and losses, in the order in which they came. */
  order: string[];
}

export interface DecodeOptions {
  isGraph?: boolean;
  cpuCount?: number;
  /** Number of bytes that the decoder gets at a time; default: all at once. */
  chunk?: number;
  /** Called for every record, after it has been added to `calls`. */
  onCall?(call: Call): void;
}

export function decodeText(
  text: Uint8Array | string,
  types: readonly TextEventType[],
  options: DecodeOptions = {},
): Decoded {
  const functions = makeFunctionInterner();
  const decoded: Omit<Decoded, 'decoder'> = { calls: [], losses: [], errors: [], order: [] };
  const dispatcher = makeDispatcher(
    types.map((type) => {
      const call = callOf(type, functions);
      return {
        id: type.format.id,
        minLength: 8,
        handler: (record) => {
          decoded.calls.push(call(record));
          decoded.order.push(`${type.event} ${record.timestampNs}`);
          options.onCall?.(decoded.calls[decoded.calls.length - 1]);
        },
      };
    }),
  );
  const decoder = makeTextDecoder({
    types,
    dispatcher,
    functions,
    cpuCount: options.cpuCount ?? 4,
    isGraph: options.isGraph ?? false,
    target: {
      onLoss: (cpu, untilNs) => {
        decoded.losses.push([cpu, untilNs]);
        decoded.order.push(`loss ${cpu} ${untilNs}`);
      },
      onError: (cpu, error) => decoded.errors.push([cpu, error]),
    },
  });
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  const chunk = options.chunk ?? bytes.length;
  let pending = new Uint8Array(0);
  for (let at = 0; at < bytes.length || pending.length > 0; at += chunk) {
    const isLast = at + chunk >= bytes.length;
    pending = Buffer.concat([pending, bytes.subarray(at, at + chunk)]);
    const behind = decoder.decode(pending, 0, pending.length, isLast);
    pending = pending.slice(behind);
    if (isLast) break;
  }
  return { ...decoded, decoder };
}

/** A line with the prefix that trace_print_context() prints. The task's name has one character per byte. */
export function lineOf(
  text: string,
  from: { comm?: string; pid?: number; cpu?: number; flags?: string; stamp?: string } = {},
): string {
  const { comm = 'cat', pid = 7, cpu = 0, flags = 'd..2.', stamp = '   12.345678' } = from;
  return `${comm.padStart(16)}-${String(pid).padEnd(7)} [${String(cpu).padStart(3, '0')}] ${flags} ${stamp}: ${text}\n`;
}
