/** Converts numbers in kernel events to their meaning on this machine: interrupts, tasks and jiffies. */
import { readFileSync, readlinkSync } from 'node:fs';

/** Inode of the initial pid namespace (include/linux/proc_ns.h). In other namespaces, tasks have other pids. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';
/** At boot, the kernel sets jiffies to 2^32 minus 300 seconds (include/linux/jiffies.h). */
const FIRST_JIFFY = 2 ** 32;
const JIFFIES_BEGIN_SECONDS = 300;
const HERTZ = [100, 250, 300, 1000];

/** Returns an interrupt's handlers (`eth0`, or `a,b` if they share the line); undefined if sysfs shows none. */
export function irqName(irq: number): string | undefined {
  return textOf(`/sys/kernel/irq/${irq}/actions`) || undefined;
}

/** Returns the name of a task; undefined if the task has ended or /proc shows another pid namespace. */
export function taskName(pid: number): string | undefined {
  if (pid === 0) return 'swapper';
  return isFirstPidNamespace() ? textOf(`/proc/${pid}/comm`) : undefined;
}

/** Returns the nanoseconds per jiffy; undefined if /proc is unreadable or matches no known tick rate. */
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
