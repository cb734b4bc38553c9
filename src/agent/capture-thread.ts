/** Entry point of the capture thread, which drains (reads) the buffers, decodes the events and updates the metrics. */

import { parentPort, workerData } from 'node:worker_threads';
import { reasonOf } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { TraceRecord } from '../model/span.ts';
import type { Capture } from './contract/capture.ts';
import type { CaptureInput, FromCapture, ToCapture } from './contract/messages.ts';
import { pulseWriter } from './contract/pulse.ts';

// Reading an empty buffer throws EAGAIN. Without a stack trace, the exception costs half as much CPU time.
Error.stackTraceLimit = 0;

const port = parentPort;
if (port === null) throw new Error('this file must be started by the agent, as its capture thread');
const post = (message: FromCapture) => port.postMessage(message);
const write =
  (level: 'debug' | 'info' | 'warn' | 'error') => (fields: Record<string, unknown>, message: string) =>
    post({ kind: 'log', level, fields, message });
const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };

const marks = new Map<number, () => void>();
/** Resolves when the main thread has tried to write `text` to the trace marker `file`, even if the write failed. */
const markFromMain = (file: string, text: string) =>
  new Promise<void>((resolve) => {
    const id = marks.size + 1;
    marks.set(id, resolve);
    post({ kind: 'mark', id, file, text });
  });

let capture: Capture | undefined;

port.on('message', async (message: ToCapture) => {
  if (message.kind === 'marked') {
    marks.get(message.id)?.();
    return;
  }
  try {
    post({ kind: 'answer', id: message.id, value: await answer(message) });
  } catch (error) {
    post({ kind: 'refused', id: message.id, reason: reasonOf(error) });
  }
  if (message.kind === 'stop') port.close();
});

async function answer(message: Exclude<ToCapture, { kind: 'marked' }>) {
  if (message.kind === 'stop') {
    // Wait for the end of the set-up: it may still create an instance, and `stop` must remove the instance.
    await opening.catch(() => undefined);
    await capture?.stop();
    return undefined;
  }
  if (capture === undefined) throw new Error('the capture thread is still starting');
  if (message.kind === 'reload') {
    if (capture.reload === undefined)
      throw new Error('an agent that serves a recording cannot reload its config');
    capture.reload(message.config);
    return undefined;
  }
  if (message.kind === 'latency') return capture.latency(message.tracer);
  if (message.kind === 'history') return capture.history?.();
  return message.kind === 'snapshot' ? capture.snapshot(message.knownSeries) : capture.status();
}

const input = workerData as CaptureInput;
const onFatal = (error: unknown) => post({ kind: 'fatal', message: reasonOf(error), final: false });
const onProblem = (problem: string) => post({ kind: 'problem', problem });
const onTraces = (traces: readonly TraceRecord[]) => post({ kind: 'traces', traces });

/** Imports only the code of one mode, to save memory. */
async function open(): Promise<Capture> {
  if (input.replayFile !== undefined) {
    const { openReplay } = await import('./replay/replay.ts');
    const { replayFile, replayInstance: instance, config } = input;
    return openReplay(config, replayFile, { log, instance, withHistory: config.history !== undefined });
  }
  const { openLiveCapture } = await import('./live/set-up.ts');
  const onDrained = pulseWriter(input.pulse);
  return openLiveCapture(input.config, { log, markFromMain, onFatal, onProblem, onTraces, onDrained });
}

const opening = open();
try {
  capture = await opening;
  post({ kind: 'ready', problem: capture.problem });
} catch (error) {
  // `final` makes a starting agent exit. An agent that was ready before starts another capture thread.
  post({ kind: 'fatal', message: reasonOf(error), final: true });
}
