/**
 * Control files of tracefs: what they contain, what has changed since, and changes that a test makes and takes back.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRACEFS } from './lab.ts';

/**
 * Files that are not compared, because they change on their own or whenever an instance is used. Buffer sizes change
 * when the top level is first used.
 */
const EXEMPT = /^(buffer_size_kb|buffer_total_size_kb|saved_cmdlines.*|touched_functions|error_log|stats)$/;
/** Files that cannot be read, that block, or that are the recording itself. */
const NOT_STATE =
  /^(trace|trace_pipe.*|trace_marker.*|free_buffer|snapshot.*|per_cpu|instances|available_filter_.*)$/;
/** Of the thousands of files of events only these are switches. */
const EVENT_SWITCH = /^(enable|filter|trigger)$/;

/** Switches of a disk for the tracer blk (kernel/trace/blktrace.c). */
const BLK_SWITCHES = '/sys/block/vda/trace';
/** Where the agent keeps its journal. */
const STATE_DIR = '/run/ftrace-exporter';

/** Text of every control file, by path. Files of single events are read only on request, because they are thousands. */
export function controlFiles({ ofEvents } = { ofEvents: false }): Map<string, string> {
  const contents = new Map<string, string>();
  addFiles(TRACEFS, contents, ofEvents, false);
  if (existsSync(BLK_SWITCHES)) addFiles(BLK_SWITCHES, contents, false, false);
  for (const dir of [join(TRACEFS, 'instances'), STATE_DIR])
    contents.set(dir, existsSync(dir) ? readdirSync(dir).sort().join(' ') : '');
  return contents;
}

function addFiles(dir: string, into: Map<string, string>, ofEvents: boolean, inEvents: boolean): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      if (NOT_STATE.test(entry.name) && dir === TRACEFS) continue;
      const isEvents = path === join(TRACEFS, 'events');
      if (!isEvents || ofEvents) addFiles(path, into, ofEvents, inEvents || isEvents);
    } else if (
      inEvents ? EVENT_SWITCH.test(entry.name) : !EXEMPT.test(entry.name) && !NOT_STATE.test(entry.name)
    ) {
      into.set(path, textOf(path));
    }
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return `${(error as NodeJS.ErrnoException).code}`;
  }
}

/** Files that differ from before, one per line. */
export function differences(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string[] {
  const paths = new Set([...before.keys(), ...now.keys()]);
  return [...paths].flatMap((path) =>
    before.get(path) === now.get(path) ? [] : [`${path}: ${before.get(path)} became ${now.get(path)}`],
  );
}

/** Files that a check writes; they are restored in the opposite order. */
export interface Changes {
  /** Writes a control file. Its content before the first write is kept. */
  put(file: string, value: string): void;
  /** Adds a step that undoes something after all later steps are undone. */
  later(step: () => void): void;
  undo(): void;
}

export function makeChanges(): Changes {
  const steps: (() => void)[] = [];
  const saved = new Set<string>();
  const put = (file: string, value: string) => {
    if (!saved.has(file)) {
      const before = writable(readFileSync(file, 'utf8'));
      saved.add(file);
      steps.push(() => writeFileSync(file, before));
    }
    writeFileSync(file, value);
  };
  const undo = () => {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) step();
    saved.clear();
  };
  return { put, later: (step) => void steps.push(step), undo };
}

/**
 * What to write to a file so that it reads like this: the choice in brackets, nothing for `#### all … ####` and `no
 * pid`, the number of `7 (expanded: 1408)`.
 */
function writable(text: string): string {
  const size = /^(\d+) \(/.exec(text)?.[1];
  if (size !== undefined) return size;
  const chosen = /\[(\S+)\]/.exec(text)?.[1];
  if (chosen !== undefined) return chosen;
  return text === '' || /^(#|no pid)/.test(text) ? '\n' : text;
}
