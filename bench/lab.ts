/**
 * Measures function tracing at full rate on a kernel of the lab, because the machine's own kernel may have no function
 * tracer. Every function is traced; the events that the agent read and lost are compared with the kernel's counts. The
 * guest is emulated: the counts are real, the rate is not.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const RUN = fileURLToPath(new URL('../test/vm/run.ts', import.meta.url));
const KERNEL = '6.12-rt';

export function benchLab(): void {
  console.log(`\n## function tracing at full rate, ${KERNEL} under emulation`);
  const { status } = spawnSync(process.execPath, [RUN, '--kernel', KERNEL, '--check', 'full-rate'], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
