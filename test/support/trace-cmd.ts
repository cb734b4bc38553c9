/** Counts the events of a trace.dat by CPU and name, once from trace-cmd's report and once from our replay. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAgentConfig } from '../../src/agent/main/compose-config.ts';
import { replayCapture } from '../../src/agent/replay/replay.ts';
import { createRenderer } from '../../src/export/exposition/text.ts';
import { parseExposition } from './exposition.ts';

export interface RecordingCounts {
  /** Number of events by `CPU EVENT`. Records of tracers count as events: `0 funcgraph_exit`. */
  counts: Record<string, number>;
  lost: number;
}

export function countsOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

export interface Report extends RecordingCounts {
  /** Number of losses whose size is unknown. The kernel cannot write the size into a full page. */
  uncounted: number;
  /** Events in order, with fields as trace-cmd prints them raw. */
  lines: { cpu: number; event: string; fields: string }[];
  stderr: string;
}

/** Uses `-R`, which prints one line per event: plugins would show a call and its return in one line. */
export function traceCmdReport(file: string): Report {
  const { status, stdout, stderr } = spawnSync('trace-cmd', ['report', '-R', '-i', file], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  assert.equal(status, 0, stderr);
  const report: Report = { counts: {}, lost: 0, uncounted: 0, lines: [], stderr };
  for (const line of stdout.split('\n')) {
    const lost = /^CPU:\d+ \[(?:(\d+) )?EVENTS DROPPED\]/.exec(line);
    if (lost?.[1] !== undefined) report.lost += Number(lost[1]);
    else if (lost !== null) report.uncounted++;
    // With some clocks, no space precedes the timestamp.
    const match = /-\d+\s+\[(\d{3})\]\s*[\d.]+:\s+(\w+):\s*(.*)$/.exec(line);
    if (match === null) continue;
    const [, cpu, event, fields] = match;
    const key = `${Number(cpu)} ${event}`;
    report.counts[key] = (report.counts[key] ?? 0) + 1;
    report.lines.push({ cpu: Number(cpu), event, fields });
  }
  return report;
}

/** The probe `events` cannot count records of tracers. These metrics count them. */
const OF_TRACERS: Readonly<Record<string, string>> = {
  ftrace_function_calls_total: 'function',
  ftrace_function_duration_seconds_count: 'funcgraph_exit',
};

const CONFIG = 'probes: { events: { count: ["*:*"] }, function: {}, function_graph: {} }\n';

/** Counts events in a replay: with the probe `events`, and with the probes of the function tracers. */
export async function replayCounts(file: string): Promise<RecordingCounts> {
  const dir = mkdtempSync(join(tmpdir(), 'replay-counts-'));
  const configFile = join(dir, 'config.yaml');
  writeFileSync(configFile, CONFIG);
  const config = loadAgentConfig({ file: configFile, env: {}, isRecorded: true });
  rmSync(dir, { recursive: true });
  const quiet = () => {};
  const { snapshots } = await replayCapture(config, file, {
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  const text = createRenderer({ constantLabels: {} }).render(snapshots, 'text').toString('utf8');
  const result: RecordingCounts = { counts: {}, lost: 0 };
  for (const { name, labels, value } of parseExposition(text)) {
    if (name === 'ftrace_exporter_events_lost_total') result.lost += Number(value);
    const event = name === 'ftrace_events_total' ? labels.event.split(':')[1] : OF_TRACERS[name];
    if (event === undefined || Number(value) === 0) continue;
    const key = `${labels.cpu} ${event}`;
    result.counts[key] = (result.counts[key] ?? 0) + Number(value);
  }
  return result;
}

/**
 * Returns a script for `trace-cmd record` to run. Stops the processes that read the buffers while `work` runs, so that
 * a small buffer overflows even on a fast machine.
 */
export function heldUp(work: string): string {
  const recorders = 'for p in $(pgrep -P $PPID); do [ $p = $$ ] ||';
  return `
    sleep 0.2
    ${recorders} kill -STOP $p; done
    ${work}
    ${recorders} kill -CONT $p; done
    sleep 0.2`;
}
