/** `record`: records the events of the enabled probes to a file for a given time. */
import { recordCapture } from '../agent/record/record.ts';
import type { AgentConfig } from '../config/schema.ts';
import { parseDuration } from '../config/units/quantity.ts';
import { reasonOf, UsageError } from '../model/errors.ts';
import { onEndSignals } from './ending.ts';
import { createLog } from './log.ts';
import { print } from './output.ts';

const LONGEST_NS = 3600e9;
/** SIGHUP is included, because the instance must also be removed if the terminal closes. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Records for the given duration, or until a signal. The file is complete in both cases. */
export async function record(
  config: AgentConfig,
  options: { output: string; duration: string },
): Promise<void> {
  const durationMs = durationOf(options.duration);
  const ended = new AbortController();
  // Later signals have no effect, because the command already ends as fast as possible.
  const release = onEndSignals(ENDING, { first: () => ended.abort() });
  try {
    const { pages, events, lost, bytes } = await recordCapture(config, {
      file: options.output,
      durationMs,
      log: createLog(config.log),
      signal: ended.signal,
    });
    print(`${options.output}: ${events} events in ${pages} pages, ${bytes} bytes; ${lost} events lost`);
  } finally {
    release();
  }
}

function durationOf(text: string): number {
  let ns: number;
  try {
    ns = parseDuration(text);
  } catch (error) {
    throw new UsageError(`--duration: ${reasonOf(error)}`);
  }
  if (ns <= 0 || ns > LONGEST_NS)
    throw new UsageError(`--duration: ${text} must be more than 0 and at most 1h`);
  return ns / 1e6;
}
