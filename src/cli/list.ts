/** `list`: prints the names of probes, metrics, tracers, events, or functions of the kernel or of a program. */

import { declareSuspendedSeconds } from '../agent/live/budget-keeper.ts';
import { makeMainMetrics } from '../agent/main/main-metrics.ts';
import { makeOtlpMetrics } from '../agent/main/otlp-metrics.ts';
import { declareReloads } from '../agent/main/reload-metrics.ts';
import { declareContainerMetrics } from '../agent/plan/containers.ts';
import { makeSelfMetrics } from '../agent/plan/self-metrics.ts';
import { declareMarkerCounts } from '../agent/slow/marker-metrics.ts';
import { declareSpanCounts } from '../agent/slow/span-metrics.ts';
import type { AgentConfig } from '../config/schema.ts';
import { globMatcher } from '../config/units/globs.ts';
import { parseFormat } from '../decode/format.ts';
import { type ElfFile, readElf } from '../host/elf.ts';
import { REFUSED_METRIC } from '../http/server/refusals.ts';
import { MetricStore } from '../metrics/store.ts';
import { reasonOf, UsageError } from '../model/errors.ts';
import { probeCatalogue } from '../probes/catalogue.ts';
import { formatText, listEvents } from '../tracefs/events.ts';
import { kernelFeatures } from '../tracefs/features.ts';
import { listFunctions } from '../tracefs/functions.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { complain, EXIT_FAILED } from './failure.ts';
import { print, table } from './output.ts';

/** Prints the matching names. Returns exit status 1 if there are none. Throws a `KernelError` if tracefs is missing. */
export function list(
  config: AgentConfig,
  what: string,
  glob: string | undefined,
  withFields = false,
): number {
  const wanted = glob === undefined ? () => true : globMatcher([glob]);
  const rows = rowsOf(config, what).filter(([name]) => wanted(name));
  if (rows.length === 0) {
    complain(glob === undefined ? `there are no ${what}` : `no ${what} match ${JSON.stringify(glob)}`);
    return EXIT_FAILED;
  }
  print(
    table(what === 'events' && withFields ? rows.map(([event]) => [event, fieldsOf(config, event)]) : rows),
  );
  // Print the count, so that users see how many functions a filter would trace.
  if (what === 'functions')
    print(
      `${rows.length} ${rows.length === 1 ? 'function' : 'functions'}${glob === undefined ? '' : ` match ${glob}`}`,
    );
  return 0;
}

/** Prints functions with file offsets. Returns exit status 1 without a match. Throws a `UsageError` for a bad file. */
export function listSymbols(path: string | undefined, glob: string | undefined): number {
  if (path === undefined)
    throw new UsageError('list symbols requires a file, as in: list symbols /lib/x86_64-linux-gnu/libc.so.6');
  const wanted = glob === undefined ? () => true : globMatcher([glob]);
  const { functions, isStripped } = readableElf(path);
  const offsets = new Map(
    functions.filter(({ isHidden }) => !isHidden).map(({ name, offset }) => [name, offset]),
  );
  const rows = [...offsets].filter(([name]) => wanted(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  if (isStripped) complain(`${path} is stripped: only functions that it exports have names`);
  if (rows.length === 0) {
    complain(`no function of ${path} matches ${JSON.stringify(glob ?? '*')}`);
    return EXIT_FAILED;
  }
  print(table(rows.map(([name, offset]) => [name, `0x${offset.toString(16)}`])));
  return 0;
}

function readableElf(path: string): ElfFile {
  try {
    return readElf(path);
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}

/** Returns a list of `name (type)` for the fields of an event; '' if the format of the event cannot be parsed. */
function fieldsOf(config: AgentConfig, event: string): string {
  const format = parseFormat(event.split(':')[0], formatText(rootOf(config), event) ?? '');
  if ('error' in format) return '';
  return format.fields.map(({ name, type, array }) => `${name} (${type}${array ? '[]' : ''})`).join(', ');
}

function rowsOf(config: AgentConfig, what: string): string[][] {
  switch (what) {
    case 'probes':
      return probeCatalogue.map(({ name, byDefault, help }) => [
        name,
        byDefault ? 'on by default' : 'off by default',
        help,
      ]);
    case 'metrics':
      return metrics();
    case 'functions':
      return Array.from(listFunctions(rootOf(config)), ({ name, module }) => [name, module && `[${module}]`]);
    case 'tracers':
      return kernelFeatures(rootOf(config)).tracers.map((tracer) => [tracer]);
    default:
      return listEvents(rootOf(config)).map((event) => [event]);
  }
}

function metrics(): string[][] {
  const ofProbes = probeCatalogue.flatMap((probe) => probe.metrics);
  const store = new MetricStore();
  makeSelfMetrics(store, { maxWindowMs: 120_000, recordingNs: 150 });
  declareMarkerCounts(store);
  declareSpanCounts(store, { kinds: {} }, ['over_budget']);
  declareContainerMetrics(store, undefined);
  makeMainMetrics(store, { version: '', replay: false });
  declareReloads(store);
  declareSuspendedSeconds(store, []);
  makeOtlpMetrics(store);
  const own = store.snapshot().families.map(({ spec }) => spec);
  const unique = new Map([...ofProbes, ...own, REFUSED_METRIC].map((spec) => [spec.name, spec]));
  return [...unique.values()].map(({ name, labels, help }) => [name, `{${labels.join(', ')}}`, help]);
}

function rootOf(config: AgentConfig): string {
  return findTracefs({ path: config.tracefsPath, mayMount: true });
}
