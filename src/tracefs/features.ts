/** Detects which tracing features this kernel has. Writes nothing. */
import { closeSync, constants, existsSync, openSync, readdirSync } from 'node:fs';
import { machine, release, version } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from '../model/errors.ts';
import { tryReadText } from './files.ts';

export interface KernelFeatures {
  /** `uname -r` */
  kernelRelease: string;
  /** `uname -m` */
  machine: string;
  /** Tracers that the kernel lists in `available_tracers`. */
  tracers: string[];
  /** Tracers that instances accept, read from an existing instance. Undefined if there is no instance. */
  instanceTracers: string[] | undefined;
  /** Why the agent cannot use a tracer that the kernel lists, by tracer. */
  refusedTracers: Readonly<Record<string, string>>;
  clocks: string[];
  /** Whether sub-buffers can be larger than a page (since 6.8). */
  subbufferSizes: boolean;
  /** Whether functions can be traced. If not, `reason` says why; otherwise it is ''. */
  functionTracing: { ok: boolean; reason: string };
  /** Whether this is a real-time kernel (PREEMPT_RT). */
  realtime: boolean;
  /** The machine's clocksource; '' if unknown. */
  clocksource: string;
  /** Whether an instance can record the markers that programs write to the top level's `trace_marker`. */
  copyTraceMarker: boolean;
  /** Log messages about properties of this machine that make measurements costly or imprecise. */
  warnings: string[];
}

/** Files outside tracefs. Tests replace them. */
export interface FeatureFiles {
  realtimeFile: string;
  clocksourceFile: string;
  ftraceEnabledFile: string;
}

const LIVE: FeatureFiles = {
  realtimeFile: '/sys/kernel/realtime',
  clocksourceFile: '/sys/devices/system/clocksource/clocksource0/current_clocksource',
  ftraceEnabledFile: '/proc/sys/kernel/ftrace_enabled',
};

/** Sources: kernel/trace/trace_mmiotrace.c; arch/x86/mm/mmio-mod.c, enter_uniprocessor(). */
const MMIOTRACE_REASON =
  'mmiotrace takes all CPUs except one offline while it runs, so ftrace-exporter never uses it';

/** Reading these takes about 1 µs, and with the clock `mono` the kernel reads the clocksource for each event. */
const SLOW_CLOCKSOURCES = ['hpet', 'acpi_pm'];

/** Reports a feature as missing if its file cannot be read. `root` is the root of tracefs. */
export function kernelFeatures(root: string, files: FeatureFiles = LIVE): KernelFeatures {
  const tracers = words(tryReadText(join(root, 'available_tracers')));
  const functions = functionTracing(root, tracers, files.ftraceEnabledFile);
  const clocksource = (tryReadText(files.clocksourceFile) ?? '').trim();
  const warnings = SLOW_CLOCKSOURCES.includes(clocksource)
    ? [
        `clocksource is ${clocksource}, which is slow and coarse: tracing costs more, and short durations are imprecise; if possible, switch the clocksource to tsc`,
      ]
    : [];
  return {
    kernelRelease: release(),
    machine: machine(),
    tracers,
    instanceTracers: tracersOfSomeInstance(root),
    refusedTracers: refusedTracers(tracers, functions),
    clocks: words(tryReadText(join(root, 'trace_clock'))).map((name) => name.replace(/[[\]]/g, '')),
    subbufferSizes: existsSync(join(root, 'buffer_subbuf_size_kb')),
    functionTracing: functions,
    realtime: (tryReadText(files.realtimeFile) ?? '').trim() === '1' || /PREEMPT[_ ]RT/.test(version()),
    clocksource,
    copyTraceMarker: existsSync(join(root, 'options', 'copy_trace_marker')),
    warnings,
  };
}

function refusedTracers(
  tracers: readonly string[],
  functions: { ok: boolean; reason: string },
): Record<string, string> {
  const reasons: Record<string, string> = { mmiotrace: MMIOTRACE_REASON };
  if (!functions.ok) Object.assign(reasons, { function: functions.reason, function_graph: functions.reason });
  return Object.fromEntries(Object.entries(reasons).filter(([tracer]) => tracers.includes(tracer)));
}

function tracersOfSomeInstance(root: string): string[] | undefined {
  let names: string[] = [];
  try {
    names = readdirSync(join(root, 'instances'));
  } catch {}
  for (const name of names) {
    const tracers = words(tryReadText(join(root, 'instances', name, 'available_tracers')));
    if (tracers.length > 0) return tracers;
  }
  return undefined;
}

function functionTracing(
  root: string,
  tracers: string[],
  switchFile: string,
): { ok: boolean; reason: string } {
  if (!tracers.includes('function'))
    return { ok: false, reason: 'this kernel is built without the function tracer (CONFIG_FUNCTION_TRACER)' };
  if (tryReadText(switchFile)?.trim() === '0')
    return { ok: false, reason: 'function tracing is switched off: sysctl kernel.ftrace_enabled is 0' };
  // Hardened kernels list the tracer but refuse access to its files. Opening one for reading changes nothing.
  const file = join(root, 'set_ftrace_filter');
  try {
    closeSync(openSync(file, constants.O_RDONLY));
    return { ok: true, reason: '' };
  } catch (error) {
    return { ok: false, reason: `the kernel refuses function tracing: ${errnoOf(error)} on opening ${file}` };
  }
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}
