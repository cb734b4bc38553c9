/**
 * Recordings that the agent's own `record` made. They are replayed here, and the host gets NAME.dat, NAME.yaml and
 * NAME.txt.
 */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Samples, samplesOf } from '../../support/samples.ts';
import { cli, SHARE, startCli, until } from './lab.ts';

const CAPTURES = join(SHARE, 'captures');
const MEMORY = process.env.TMPDIR ?? '/tmp';

/**
 * Records until `work` is done and returns the file. It is in memory, because a file on the share would fill itself
 * with the share's interrupts.
 */
export async function recordWhile(
  name: string,
  config: string,
  begun: () => boolean | Promise<boolean>,
  work: () => void | Promise<void>,
): Promise<string> {
  const file = join(MEMORY, `${name}.dat`);
  const running = startCli(['record', '-o', file, '--duration', '1h'], config);
  try {
    await until(begun, 'the recording starts').catch((error: Error) => {
      throw new Error(`${error.message}: ${running.stderr()}`);
    });
    await work();
    running.child.kill('SIGINT');
    assert.equal(await running.ended, 0, running.stderr());
  } finally {
    running.child.kill('SIGKILL');
  }
  assert.doesNotMatch(running.stderr(), /level=(warn|error)/);
  return file;
}

/** Replays the recording, and leaves recording, config and metrics to the host. */
export function replayed(name: string, config: string, file: string): Samples {
  mkdirSync(CAPTURES, { recursive: true });
  copyFileSync(file, join(CAPTURES, `${name}.dat`));
  const configFile = join(CAPTURES, `${name}.yaml`);
  writeFileSync(configFile, config);
  const replay = cli(['replay', file, '--config.file', configFile]);
  assert.equal(replay.status, 0, replay.stderr);
  writeFileSync(join(CAPTURES, `${name}.txt`), replay.stdout);
  return samplesOf(replay.stdout);
}
