/**
 * Converts numbers in the kernel's event records to their meaning on this machine: interrupt lines, tasks and jiffies.
 */
import { readFileSync, readlinkSync } from 'node:fs';

/** Inode of the initial pid namespace (include/linux/proc_ns.h). In other namespaces, tasks have other pids. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';
/** At boot, the kernel sets jiffies to 2^32 minus 300 seconds (include/linux/jiffies.h). */
const FIRST_JIFFY = 2 ** 32;
const JIFFIES_BEGIN_SECONDS = 300;
const HERTZ = [100, 250, 300, 1000];

/**
 * Returns the names of an interrupt's handlers (`eth0`, or `a,b` if handlers share the line), or undefined if sysfs
 * shows none.
 */
export function irqName(irq: number): string | undefined {
  return textOf(`/sys/kernel/irq/${irq}/actions`) || undefined;
}

/**
 * Returns the current name of a task by its pid on the host. Returns undefined if the task has ended, or if /proc shows
 * another pid namespace.
 */
export function taskName(pid: number): string | undefined {
  if (pid === 0) return 'swapper';
  return isFirstPidNamespace() ? textOf(`/proc/${pid}/comm`) : undefined;
}

/**
 * Computes the nanoseconds per jiffy from the kernel's jiffies counter and the uptime. Returns undefined if this
 * process cannot read the two, or if they match no known tick rate.
 */
export function jiffyNs(): number | undefined {
  const jiffies = Number(/^jiffies: (\d+)$/m.exec(textOf('/proc/timer_list') ?? '')?.[1]);
  const uptime = Number.parseFloat(textOf('/proc/uptime') ?? '');
  const hertz = HERTZ.find((hz) => {
    const seconds = (jiffies - FIRST_JIFFY) / hz + JIFFIES_BEGIN_SECONDS;
    return Math.abs(seconds - uptime) <= 1 + uptime / 20;
  });
  return hertz === undefined ? undefined : 1e9 / hertz;
}

/** Returns whether this process is in the initial pid namespace; undefined if /proc cannot be read. */
export function isFirstPidNamespace(): boolean | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE;
  } catch {
    return undefined;
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
