/**
 * Measures function tracing at full rate on a kernel of test/vm, because this machine's kernel may have no function
 * tracer. Traces every function, and compares the events that the agent read and lost with the kernel's counts. The
 * virtual machine is emulated, so the counts are meaningful but the rate is not.
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
