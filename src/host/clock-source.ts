/**
 * The clocksource behind CLOCK_MONOTONIC, and so behind the trace clock `mono`
 * (Documentation/admin-guide/kernel-parameters.txt, `clocksource=`).
 */
import { readFileSync } from 'node:fs';

/** Read through a port or a slow bus: about a microsecond an event, in the kernel, on every CPU. */
const SLOW = new Set(['hpet', 'acpi_pm', 'jiffies', 'refined-jiffies']);

/** Name of the current clocksource; '' where sysfs does not tell. */
export function clockSource(sysfs = '/sys'): string {
  try {
    return readFileSync(
      `${sysfs}/devices/system/clocksource/clocksource0/current_clocksource`,
      'utf8',
    ).trim();
  } catch {
    return '';
  }
}

/** What to tell the user about a clocksource; '' when it is good, or unknown. */
export function clockSourceWarning(name: string): string {
  if (!SLOW.has(name)) return '';
  return `the clocksource is ${name}: it makes every traced event slow and times coarse; tsc, arch_sys_counter or kvm-clock would be right`;
}
