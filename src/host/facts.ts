/** Facts for probes (HostFacts in src/probes/probe.ts) about this machine, or about the machine of a recording. */
import { deviceNumber, diskNames, liveBlockDevices } from './block-devices.ts';
import { errnoName } from './errno.ts';
import { irqName, jiffyNs, taskName } from './kernel-numbers.ts';
import { syscallEventName, syscallTable } from './syscalls.ts';
import { makeTaskPolicies } from './task-policies.ts';

/** Facts that depend only on the machine type. Syscalls have no names if there is no table for the type. */
function kernelFacts(machine: string) {
  const table = syscallTable(machine);
  return {
    syscallName: (id: number): string | undefined => table?.name(id),
    syscallIds: (): readonly number[] => table?.ids ?? [],
    syscallEventName: (name: string): string => syscallEventName(name, machine),
    errnoName,
  };
}

/** Facts about this machine. `machine` is the output of `uname -m`. */
export function liveHostFacts(options: { machine: string; sysfs?: string }) {
  const devices = liveBlockDevices(options.sysfs);
  return {
    ...kernelFacts(options.machine),
    irqName,
    taskName,
    jiffyNs,
    blockDeviceName: (dev: number): string => devices.name(dev),
    blockDeviceNames: (): readonly string[] | undefined => diskNames(options.sysfs),
    blockDeviceExists: (dev: number): boolean => devices.exists(dev),
    taskClasses: makeTaskPolicies(),
  };
}

/** Facts about the machine of a recording. `blockDevices`: the names that the recording contains, by dev_t. */
export function capturedHostFacts(options: { machine: string; blockDevices: ReadonlyMap<number, string> }) {
  const { blockDevices } = options;
  return {
    ...kernelFacts(options.machine),
    irqName: (_irq: number): string | undefined => undefined,
    taskName: (_pid: number): string | undefined => undefined,
    jiffyNs: (): number | undefined => undefined,
    // Look up the number as signed and as unsigned. The two differ if the major number is 2048 or more.
    blockDeviceName: (dev: number): string =>
      blockDevices.get(dev | 0) ?? blockDevices.get(dev >>> 0) ?? deviceNumber(dev),
    // Unknown, because later parts of the recording can contain more names.
    blockDeviceNames: (): readonly string[] | undefined => undefined,
    blockDeviceExists: (_dev: number): boolean => true,
  };
}
