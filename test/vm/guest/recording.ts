/**
 * Records a tracer without the agent: writes control files by hand, runs a workload, stops recording. Then reads the
 * kernel's own text of the buffer, which consumes nothing, and the raw pages of the same events.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BufferStats } from '../../../src/model/source.ts';
import { parseStats } from '../../../src/tracefs/stats.ts';
import { type Changes, makeChanges } from './control-files.ts';
import { TRACEFS } from './lab.ts';

export interface RecordingRequest {
  tracer: string;
  /** Files below the instance (or the top level), in this order, before the tracer is set. */
  files?: Readonly<Record<string, string>>;
  /** Files that only the top level has. */
  top?: Readonly<Record<string, string>>;
  /** Events beside the tracer. */
  events?: readonly string[];
  bufferKb?: number;
}

export interface Recording {
  dir: string;
  where: 'instance' | 'top';
  /** Lines of the kernel's text of one CPU's buffer, without its head. */
  text(cpu: number): string[];
  /** Sets an option of the text format, until the end. */
  show(option: string): void;
  stats(cpu: number): BufferStats;
  /** Undoes everything. Close the raw pages first. */
  end(): void;
}

/** Runs `work` under a tracer and stops it. */
export function record(request: RecordingRequest, work: () => void): Recording {
  const { stop, abandon } = startRecording(request);
  try {
    work();
    return stop();
  } catch (error) {
    abandon();
    throw error;
  }
}

export interface Started {
  stop(): Recording;
  /** Undoes everything, whatever was recorded. */
  abandon(): void;
}

/** Starts a tracer; at the top level if this kernel refuses it to instances. */
export function startRecording(request: RecordingRequest): Started {
  const changes = makeChanges();
  try {
    const { dir, where } = place(request.tracer, changes);
    setUp(dir, request, changes);
    // Must come before the tracer is set, because some start to record at once.
    changes.later(() => writeFileSync(join(dir, 'current_tracer'), 'nop'));
    writeFileSync(join(dir, 'current_tracer'), request.tracer);
    changes.put(join(dir, 'tracing_on'), '1');
    const stop = () => {
      writeFileSync(join(dir, 'tracing_on'), '0');
      return recordingAt(dir, where, changes);
    };
    return { stop, abandon: () => changes.undo() };
  } catch (error) {
    changes.undo();
    throw error;
  }
}

/** Whether this kernel allows a tracer in instances. */
export function livesInInstance(tracer: string): boolean {
  const dir = join(TRACEFS, 'instances', `lab-look-${process.pid}`);
  mkdirSync(dir);
  try {
    return readFileSync(join(dir, 'available_tracers'), 'utf8').trim().split(' ').includes(tracer);
  } finally {
    rmdirSync(dir);
  }
}

function place(tracer: string, changes: Changes): { dir: string; where: 'instance' | 'top' } {
  if (!livesInInstance(tracer)) return { dir: TRACEFS, where: 'top' };
  const dir = join(TRACEFS, 'instances', `lab-${tracer}-${process.pid}`);
  mkdirSync(dir);
  changes.later(() => rmdirSync(dir));
  return { dir, where: 'instance' };
}

function setUp(dir: string, request: RecordingRequest, changes: Changes): void {
  const { files = {}, top = {}, events = [], bufferKb = 4096 } = request;
  changes.put(join(dir, 'tracing_on'), '0');
  changes.put(join(dir, 'buffer_size_kb'), String(bufferKb));
  changes.put(join(dir, 'trace_clock'), 'mono');
  for (const [file, value] of Object.entries(files)) changes.put(join(dir, file), value);
  for (const [file, value] of Object.entries(top))
    if (existsSync(join(TRACEFS, file))) changes.put(join(TRACEFS, file), value);
  for (const event of events) changes.put(join(dir, 'events', event.replace(':', '/'), 'enable'), '1');
  // Instances inherit it from the top level, where the agent sets it for the text of function_graph before 6.11.
  if (dir !== TRACEFS) writeFileSync(join(dir, 'options/latency-format'), '0');
  // Records that the top level had before are not part of this recording.
  writeFileSync(join(dir, 'trace'), '');
}

function recordingAt(dir: string, where: 'instance' | 'top', changes: Changes): Recording {
  const ofCpu = (cpu: number, file: string) => readFileSync(join(dir, 'per_cpu', `cpu${cpu}`, file), 'utf8');
  return {
    dir,
    where,
    text: (cpu) =>
      ofCpu(cpu, 'trace')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    show: (option) => changes.put(join(dir, 'options', option), '1'),
    stats: (cpu) => parseStats(ofCpu(cpu, 'stats'), cpu),
    end: () => changes.undo(),
  };
}
