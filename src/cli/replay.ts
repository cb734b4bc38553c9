/** `replay`: a recording in, its metrics as Prometheus text out. */
import { replayCapture } from '../agent/replay.ts';
import type { AgentConfig } from '../config/schema.ts';
import { createRenderer } from '../export/prometheus-text.ts';
import { createLog } from './log.ts';
import { print } from './output.ts';
import { REPLAY_LABELS } from './replay-labels.ts';

export async function replay(config: AgentConfig, file: string): Promise<void> {
  const { snapshots } = await replayCapture(config, file, createLog(config.log));
  print(createRenderer({ constantLabels: REPLAY_LABELS }).render(snapshots, 'text').toString('utf8'));
}
