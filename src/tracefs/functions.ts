/** Lists the kernel's traceable functions, and restricts a tracer to some of them. Source: kernel/trace/ftrace.c. */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { FunctionFilter } from '../model/tracer.ts';
import { refusal, tryReadText } from './files.ts';
import type { Instance } from './instance.ts';
import { listLines } from './journal/control-forms.ts';
import type { JournalPart } from './journal/journal.ts';
import { traitsOf } from './tracer-traits.ts';

export interface KernelFunction {
  name: string;
  /** Name of the function's module; '' for functions of the kernel itself. */
  module: string;
}

/** Sorted by address. `low[i]` and `high[i]` are the lower and upper 32 bits of the address of `names[i]`. */
export interface FunctionAddresses {
  low: Uint32Array;
  high: Uint32Array;
  names: readonly string[];
}

const NAMES_FILE = 'available_filter_functions';
const ADDRESSES_FILE = 'available_filter_functions_addrs';
const CHUNK_BYTES = 1 << 16;
/** Beginning of the name that the kernel shows for an address whose code was removed. */
const INVALID = '__ftrace_invalid_address__';

/** Yields all traceable functions. Several functions can have the same name. Throws `KernelError`. */
export function* listFunctions(root: string): Generator<KernelFunction> {
  for (const line of linesOf(join(root, NAMES_FILE))) {
    const entry = functionOf(line);
    if (entry !== undefined) yield entry;
  }
}

/** Returns undefined if the kernel shows no addresses, as before 6.5. Records of tracers contain the same addresses. */
export function functionAddresses(
  root: string,
  wanted: (name: string, module: string) => boolean = () => true,
): FunctionAddresses | undefined {
  const functions: { low: number; high: number; name: string }[] = [];
  try {
    for (const line of linesOf(join(root, ADDRESSES_FILE))) {
      const [, digits, rest] = /^([0-9a-f]{1,16}) (.+)$/.exec(line) ?? [];
      const named = rest === undefined ? undefined : functionOf(rest);
      if (named === undefined || !wanted(named.name, named.module)) continue;
      const all = digits.padStart(16, '0');
      functions.push({
        low: Number.parseInt(all.slice(8), 16),
        high: Number.parseInt(all.slice(0, 8), 16),
        name: named.name,
      });
    }
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
  // A kernel that hides addresses shows zeroes.
  if (functions.some(({ low, high }) => low === 0 && high === 0)) return undefined;
  functions.sort((a, b) => a.high - b.high || a.low - b.low);
  return {
    low: Uint32Array.from(functions, ({ low }) => low),
    high: Uint32Array.from(functions, ({ high }) => high),
    names: functions.map(({ name }) => name),
  };
}

/** Parses `name` or `name [module]`. Returns undefined for other lines and for functions whose code was removed. */
function functionOf(line: string): KernelFunction | undefined {
  const [, name, module = ''] = /^(\S+)(?: \[([^\]]+)\])?$/.exec(line.trim()) ?? [];
  return name === undefined || name.startsWith(INVALID) ? undefined : { name, module };
}

/** Reads in chunks, because the file has tens of thousands of lines. */
function* linesOf(file: string): Generator<string> {
  const refused = (error: unknown) => refusal(error, { file, action: 'read' });
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    throw refused(error);
  }
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    let begun = '';
    for (;;) {
      let length: number;
      try {
        length = readSync(fd, buffer, 0, CHUNK_BYTES, null);
      } catch (error) {
        throw refused(error);
      }
      if (length === 0) break;
      const lines = (begun + buffer.toString('latin1', 0, length)).split('\n');
      begun = lines.pop() ?? '';
      yield* lines;
    }
    if (begun !== '') yield begun;
  } finally {
    closeSync(fd);
  }
}

/** Allowed globs. The kernel would take a number as an index, and `:`, `!` or `[` as part of a command. */
const GLOB = /^[A-Za-z_.$*?][A-Za-z0-9_.$*?]{0,255}$/;

/** Throws a `KernelError` if the glob is not allowed. */
export function checkedGlob(glob: string): string {
  if (GLOB.test(glob)) return glob;
  const remedy =
    'a function pattern consists of letters, digits, "_", ".", "$", "*" and "?", and does not begin with a digit';
  throw new KernelError({ file: 'set_ftrace_filter', errno: 'EINVAL', action: 'write', value: glob, remedy });
}

/** Call this before the tracer starts. Returns warnings. Throws a `KernelError`, for example if no function matches. */
export function setFunctionFilter(
  target: Instance,
  tracer: string,
  filter: FunctionFilter,
  knobs: JournalPart,
): string[] {
  const { functions, notrace, pids, maxDepth } = filter;
  const warnings: string[] = [];
  for (const glob of [...functions, ...notrace]) checkedGlob(glob);
  const place = placeOfFilter(target, tracer, filter, knobs);
  if (functions.length > 0) {
    const refused = place.add(place.file, functions);
    const inForce = listLines(tryReadText(join(place.dir, place.file)) ?? '');
    // With an empty list, the kernel would trace all functions.
    if (refused.length === functions.length || inForce.length === 0) {
      const remedy =
        'this kernel has no traceable function with this name, or its module is not loaded; `ftrace-exporter list functions GLOB` lists functions';
      const file = join(place.dir, place.file);
      throw new KernelError({ file, errno: 'EINVAL', action: 'write', value: refused.join(' '), remedy });
    }
    warnings.push(...refused.map((glob) => `no function of this kernel matches ${glob}`));
  }
  if (traitsOf(tracer).isGraph && limitsDepth(filter)) knobs.set('max_graph_depth', String(maxDepth));
  if (notrace.length > 0)
    warnings.push(
      ...target
        .add('set_ftrace_notrace', notrace)
        .map((glob) => `no function of this kernel matches ${glob}, a pattern in notrace`),
    );
  if (pids.length > 0) {
    target.set('options/function-fork', '1');
    const refused = target.add('set_ftrace_pid', pids.map(String));
    if (refused.length > 0) {
      const file = join(target.dir, 'set_ftrace_pid');
      const remedy = 'the values must be ids of tasks';
      throw new KernelError({ file, errno: 'EINVAL', action: 'write', value: refused.join(' '), remedy });
    }
  }
  return warnings;
}

/** Writes the globs again, so that they also apply to functions of modules that were loaded after the last write. */
export function reapplyFilter(
  target: Instance,
  tracer: string,
  filter: FunctionFilter,
  knobs: JournalPart,
): void {
  const place = placeOfFilter(target, tracer, filter, knobs);
  if (filter.functions.length > 0) place.add(place.file, filter.functions);
  if (filter.notrace.length > 0) target.add('set_ftrace_notrace', filter.notrace);
}

/** Returns where to write the filter. With `set_ftrace_filter`, function_graph does not record called functions. */
function placeOfFilter(target: Instance, tracer: string, filter: FunctionFilter, knobs: JournalPart) {
  return traitsOf(tracer).isGraph && filter.maxDepth !== 1
    ? { dir: target.root, file: 'set_graph_function', add: knobs.add }
    : { dir: target.dir, file: 'set_ftrace_filter', add: target.add };
}

/** False for depth 1, because `max_graph_depth` 1 without `set_graph_function` records only calls from user space. */
function limitsDepth({ maxDepth }: FunctionFilter): boolean {
  return maxDepth > 1;
}

/** Excludes tasks (host pids) from function tracers, if the kernel supports it (since 5.8). Throws `KernelError`. */
export function setNotracePids(target: Instance, pids: readonly number[]): void {
  const file = 'set_ftrace_notrace_pid';
  if (pids.length === 0 || tryReadText(join(target.dir, file)) === undefined) return;
  target.add(file, pids.map(String));
}
