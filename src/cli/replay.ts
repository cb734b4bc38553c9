/** `replay`: prints a recording's metrics as Prometheus text. */
import { replayCapture } from '../agent/replay/replay.ts';
import type { AgentConfig } from '../config/schema.ts';
import { createRenderer } from '../export/exposition/text.ts';
import type { Log } from '../model/log.ts';
import { createLog } from './log.ts';
import { print } from './output.ts';
import { progressBar } from './progress.ts';
import { REPLAY_LABELS } from './replay-labels.ts';

/** Prints the metrics of `file`. The default `instance` is the first non-empty one, beginning with the top level. */
export async function replay(config: AgentConfig, file: string, instance: string | undefined): Promise<void> {
  const log = createLog(config.log);
  const onProgress = progressBar('replaying', process.stderr);
  // Makes a log function that erases the progress bar before each line.
  const wiped = (level: keyof Log) => (fields: Record<string, unknown>, message: string) => {
    onProgress.end();
    log[level](fields, message);
  };
  const quietly = { debug: wiped('debug'), info: wiped('info'), warn: wiped('warn'), error: wiped('error') };
  try {
    const { snapshots } = await replayCapture(config, file, { log: quietly, instance, onProgress });
    onProgress.end();
    print(createRenderer({ constantLabels: REPLAY_LABELS }).render(snapshots, 'text').toString('utf8'));
  } finally {
    onProgress.end();
  }
}
