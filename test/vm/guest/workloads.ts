/**
 * Workloads for tracers: their numbers are known, or they cause what the tracer looks for. All of them end by
 * themselves.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SHARE, TRACEFS } from './lab.ts';

/** The first of these functions that this kernel can trace. */
export function functionNamed(pattern: RegExp): string {
  const match = traceable().find((name) => pattern.test(name));
  assert.ok(match, `no function ${pattern} in available_filter_functions`);
  return match;
}

let names: readonly string[] | undefined;
function traceable(): readonly string[] {
  names ??= readFileSync(join(TRACEFS, 'available_filter_functions'), 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[0]);
  return names;
}

/** The function that getppid runs. On some kernels its names share one address, and the kernel lists one of them. */
export function getppidFunction(): string {
  return functionNamed(/^__(do|x64)_sys_getppid$/);
}

/**
 * Looks for files on the share that do not exist: each look sends a message to the host, which a function of the module
 * 9pnet that calls itself formats (net/9p/protocol.c, p9pdu_vwritef()).
 */
export function askHost(times: number): void {
  for (let i = 0; i < times; i++) existsSync(join(SHARE, `no-file-${i}`));
}

/** Writes to and reads from the disk past the page cache: so many requests of so many bytes. */
export function diskIo(count: number, bytes = 4096): void {
  const dd = (...operands: string[]) =>
    execFileSync('dd', [...operands, `bs=${bytes}`, `count=${count}`, 'status=none']);
  dd('if=/dev/zero', 'of=/dev/vda', 'oflag=direct');
  dd('if=/dev/vda', 'of=/dev/null', 'iflag=direct');
}

/**
 * How to start a task of the kind that each tracer of wake-ups looks at. Deadline tasks accept no list of CPUs, and
 * have threads only if these are of another kind (-R).
 */
export const SCHEDULERS: Readonly<Record<string, readonly string[]>> = {
  wakeup: ['taskset', '-c', '1'],
  wakeup_rt: ['taskset', '-c', '1', 'chrt', '-f', '60'],
  wakeup_dl: ['chrt', '-R', '-d', '-T', '2000000', '-D', '20000000', '-P', '20000000', '0'],
};

/** A task that sleeps briefly so many times; each sleep ends with a wake-up. */
export function naps(count: number, scheduler: readonly string[]): void {
  const script = `const nap = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < ${count}; i++) Atomics.wait(nap, 0, 0, 2);`;
  const [program, ...rest] = [...scheduler, process.execPath, '-e', script];
  const { status, stderr } = spawnSync(program, rest, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** Blocks for so long, without work. */
export function idle(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
