/** Reads a buffer's text from `trace_pipe`, without blocking. The kernel removes the events that are read. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../model/errors.ts';
import type { TextSource } from '../model/source.ts';
import { refusal } from './files.ts';
import { traitsOf } from './tracer-traits.ts';

export interface TracePipe extends TextSource {
  /** Closes the file. While it is open, the kernel does not remove the instance or change its tracer. */
  close(): void;
}

const INTERRUPTED_TRIES = 16;

/** Options for all tracers except function_graph. An instance can inherit other values from the top level. */
const AS_READ: Readonly<Record<string, '0' | '1'>> = {
  'context-info': '1',
  'irq-info': '1',
  'print-parent': '1',
  'latency-format': '0',
  raw: '0',
  hex: '0',
  bin: '0',
  fields: '0',
  verbose: '0',
  'sym-addr': '0',
  'sym-offset': '0',
};

/** Options for function_graph. They switch on all columns. */
const GRAPH_AS_READ: Readonly<Record<string, '0' | '1'>> = {
  ...AS_READ,
  // Adds a column with interrupt and scheduling flags. The text of other tracers always has this column.
  'latency-format': '1',
  // Without this option, the text does not report calls that are missing because they were nested too deeply.
  'funcgraph-overrun': '1',
  'funcgraph-abstime': '1',
  'funcgraph-proc': '1',
  'funcgraph-cpu': '1',
  'funcgraph-duration': '1',
  'funcgraph-overhead': '1',
  'funcgraph-tail': '1',
  'funcgraph-irqs': '1',
};

/** Returns the options that the text parser needs. They override the options of the tracer's request. */
export function textOptions(tracer: string): Readonly<Record<string, '0' | '1'>> {
  return traitsOf(tracer).isGraph ? GRAPH_AS_READ : AS_READ;
}

/** Reading an empty buffer costs an exception; `Error.stackTraceLimit = 0` halves the cost. Throws `KernelError`. */
export function openTracePipe(dir: string): TracePipe {
  const file = join(dir, 'trace_pipe');
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const remedy =
      errnoOf(error) === 'EBUSY'
        ? 'another process reads this trace_pipe, and the kernel allows only one reader: stop that process, or use --reader raw'
        : undefined;
    throw refusal(error, { file, action: 'open', remedy });
  }

  const readText = (into: Uint8Array): number => {
    for (let tries = 0; tries < INTERRUPTED_TRIES; tries++) {
      try {
        // A length of 0 is not the end of the text: the kernel returns 0 if recording is off and the buffer is empty.
        return readSync(fd, into, 0, into.length, null);
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === 'EINTR') continue;
        if (errno === 'EAGAIN' || errno === 'EBUSY' || errno === 'ENOMEM') return 0;
        if (errno === '') throw error;
        const remedy = 'the text of this buffer can no longer be read: restart the agent';
        throw new KernelError({ file, errno, action: 'read', remedy });
      }
    }
    return 0;
  };

  return { readText, close: () => closeSync(fd) };
}
