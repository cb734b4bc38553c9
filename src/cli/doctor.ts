/** `doctor`: prints what can be traced on this machine, as a table for people or as JSON. */
import { surveyContainers } from '../agent/doctor/containers.ts';
import { type ProbeSurvey, type Survey, survey, type TracerSurvey } from '../agent/doctor/survey.ts';
import { factsOfTasks } from '../agent/slow/task-facts.ts';
import type { AgentConfig } from '../config/schema.ts';
import { formatCpuList } from '../config/units/quantity.ts';
import type { KindStatus } from '../model/status.ts';
import { pathOnHost } from '../tracefs/mount.ts';
import { EXIT_FAILED } from './failure.ts';
import { print, table } from './output.ts';

/** Returns exit status 1 if nothing can be traced, or if an enabled probe or kind of traces does not work. */
export async function doctor(config: AgentConfig, json: boolean): Promise<number> {
  const result = await survey(config);
  print(json ? JSON.stringify(result, undefined, 2) : describe(result, config));
  const broken = result.probes.some(({ on, ok }) => on && !ok) || result.kinds.some(({ up }) => !up);
  return result.problem !== '' || broken ? EXIT_FAILED : 0;
}

function describe(result: Survey, config: AgentConfig): string {
  const parts = [
    table([
      ...kernelRows(result, config),
      ...processRows(result),
      ...spanRows(result, config),
      ...containerRows(result, config),
    ]),
  ];
  for (const warning of result.kernel?.warnings ?? []) parts.push(`warning: ${warning}\n`);
  const tracers = result.kernel?.surveyedTracers ?? [];
  if (tracers.length > 0) parts.push(`tracers\n${table(tracers.map(tracerRow), '  ')}`);
  if (result.probes.length > 0) parts.push(`probes\n${table(result.probes.map(probeRow), '  ')}`);
  const notes = result.probes
    .filter(({ on }) => on)
    .flatMap(({ name, notes }) => notes.map((note) => [name, note]));
  if (notes.length > 0) parts.push(`notes about enabled probes\n${table(notes, '  ')}`);
  if (result.kinds.length > 0) parts.push(`traces\n${table(result.kinds.map(kindRow), '  ')}`);
  parts.push(result.problem === '' ? verdict(result) : `nothing can be traced: ${result.problem}\n`);
  return parts.join('\n');
}

function kernelRows({ kernel }: Survey, config: AgentConfig): string[][] {
  if (kernel === undefined) return [];
  const others = kernel.instances.filter((name) => name !== config.instance);
  return [
    ['tracefs', kernel.tracefs],
    ['kernel', `${kernel.kernelRelease} ${kernel.machine}${kernel.realtime ? ', real-time' : ''}`],
    ['CPUs online', formatCpuList(kernel.onlineCpus)],
    ['events', String(kernel.eventCount)],
    ['function tracing', kernel.functionTracing.ok ? 'yes' : `no: ${kernel.functionTracing.reason}`],
    ['trace clock mono', kernel.clocks.includes('mono') ? 'yes' : 'no'],
    ['clocksource', kernel.clocksource || 'unknown'],
    ['sub-buffer sizes', kernel.subbufferSizes ? 'yes' : 'no: each has one page'],
    ['top-level tracer', topLevelTracerOf(kernel)],
    ['restore journal', kernel.journal || 'none: no system-wide setting is changed'],
    ['other instances', others.join(' ') || 'none'],
    [
      'own instance',
      `${config.instance}${kernel.ownInstanceExists ? ': already exists: an agent is running or was killed' : ''}`,
    ],
  ];
}

function topLevelTracerOf({ topLevelTracer, journal }: NonNullable<Survey['kernel']>): string {
  if (topLevelTracer === 'nop') return 'nop: unused';
  const isOurs = journal.includes('current_tracer');
  return `${topLevelTracer}: in use${isOurs ? ', by the agent with this name' : '; the restore journal of the agent with this name does not list it'}`;
}

function processRows({ process }: Survey): string[][] {
  const namespace =
    process.inPidNamespace === undefined
      ? 'unknown'
      : process.inPidNamespace
        ? 'own: ids differ from those in events; the agent handles this'
        : "the machine's";
  const capabilities = process.capabilities === '0' ? 'none' : `0x${process.capabilities}`;
  return [
    ['user id', String(process.uid)],
    ['capabilities', `${process.capabilities === '' ? 'unknown' : capabilities} (none are needed)`],
    ['pid namespace', namespace],
  ];
}

/** Returns rows about data for spans: processes, containers, and markers (texts written to `trace_marker`). */
function spanRows({ kernel, process }: Survey, config: AgentConfig): string[][] {
  if (kernel === undefined || config.spans === undefined) return [];
  const { processes, containers, reason } = factsOfTasks(config.spans, process.inPidNamespace === false);
  const own = pathOnHost(kernel.tracefs, 'instances', config.instance, 'trace_marker');
  return [
    ['processes in traces', processes ? 'yes' : `no: ${reason}`],
    ['containers in traces', containers ? 'yes' : `no: ${reason}`],
    [
      'markers of programs',
      kernel.copyTraceMarker || (config.spans.topLevelMarkers && kernel.topLevelUser === '')
        ? `${pathOnHost(kernel.tracefs, 'trace_marker')}, ${own}`
        : `only ${own}, because ${whyNotTopLevel(kernel, config.spans)}`,
    ],
  ];
}

function containerRows({ process }: Survey, config: AgentConfig): string[][] {
  if (config.containers === undefined) return [];
  const { reason, count, notes } = surveyContainers(config.containers, process.inPidNamespace === false);
  const seen = `yes: ${count} containers and units${notes.map((note) => `; ${note}`).join('')}`;
  return [['metrics by container', reason === '' ? seen : `no: ${reason}`]];
}

function whyNotTopLevel(
  { topLevelUser }: NonNullable<Survey['kernel']>,
  { topLevelMarkers }: NonNullable<AgentConfig['spans']>,
): string {
  return topLevelMarkers
    ? `the top level is in use: ${topLevelUser}`
    : 'this kernel does not copy markers from the top level, and spans.top_level_markers is off';
}

function tracerRow({ name, where, reason }: TracerSurvey): string[] {
  return [name, reason === '' ? where : 'no', reason];
}

function probeRow({ name, on, ok, reason, events, tracer }: ProbeSurvey): string[] {
  const uses = [...(tracer === '' ? [] : [`tracer ${tracer}`]), shortened(events)].filter(
    (part) => part !== '',
  );
  return [name, on ? 'on' : 'off', ok ? 'ok' : 'no', ok ? uses.join(', ') : reason];
}

function kindRow({ kind, up, reason }: KindStatus): string[] {
  return [kind, up ? 'ok' : 'no', reason];
}

function shortened(events: readonly string[]): string {
  const shown = events.slice(0, 6).join(' ');
  return events.length > 6 ? `${shown} and ${events.length - 6} more` : shown;
}

function verdict({ probes, kinds }: Survey): string {
  const broken = probes.filter(({ on, ok }) => on && !ok).map(({ name }) => name);
  const missing = kinds.filter(({ up }) => !up).map(({ kind }) => kind);
  const ofProbes =
    broken.length === 0
      ? 'all enabled probes work\n'
      : `these enabled probes do not work: ${broken.join(', ')}\n`;
  return missing.length === 0
    ? ofProbes
    : `${ofProbes}these kinds of traces do not work: ${missing.join(', ')}\n`;
}
