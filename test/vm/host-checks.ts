/** Checks on the host after a boot: captures recorded in the guest are replayed here and must tell the same. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCapture } from '../../src/capture/read.ts';
import type { CheckResult } from './guest/reporter.ts';

const BIN = fileURLToPath(new URL('../../bin/ftrace-exporter.js', import.meta.url));

/** `dir` holds NAME.dat, NAME.yaml and the guest's own replay NAME.txt. */
export function checkCaptures(dir: string): CheckResult[] {
  const results: CheckResult[] = [];
  for (const file of readdirSync(dir).sort()) {
    const name = /^(.*)\.dat$/.exec(file)?.[1];
    if (name === undefined) continue;
    results.push(
      check(`capture ${name}: its replay on the host says what it said in the guest`, () => {
        const args = ['replay', join(dir, file), '--config.file', join(dir, `${name}.yaml`)];
        const text = execFileSync(process.execPath, [BIN, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
        assert.equal(text, readFileSync(join(dir, `${name}.txt`), 'utf8'));
        return undefined;
      }),
      check(`capture ${name}: trace-cmd reads as many events as the kernel gave`, () => {
        const capture = openCapture(join(dir, file));
        capture.close();
        assert.deepEqual(capture.problems, []);
        const read = capture.stats.reduce((sum, { readEvents }) => sum + readEvents, 0);
        const { error, stdout, stderr } = spawnSync('trace-cmd', ['report', '-i', join(dir, file)], {
          encoding: 'utf8',
          maxBuffer: 1 << 30,
        });
        if (error && (error as NodeJS.ErrnoException).code === 'ENOENT') return 'skip';
        assert.equal(stderr, '');
        assert.equal(stdout.split('\n').filter((line) => /^\s*.+-\d+\s+\[\d+\]/.test(line)).length, read);
        return undefined;
      }),
    );
  }
  return results;
}

function check(name: string, body: () => 'skip' | undefined): CheckResult {
  const start = performance.now();
  const done = (rest: Partial<CheckResult>): CheckResult => ({
    name,
    ok: true,
    detail: '',
    tookMs: performance.now() - start,
    ...rest,
  });
  try {
    return body() === 'skip' ? done({ skipped: true }) : done({});
  } catch (error) {
    return done({ ok: false, detail: error instanceof Error ? error.message : String(error) });
  }
}
