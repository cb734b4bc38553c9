/**
 * What probes ask of the machine by key: of the one we run on, or of the one that a capture comes from. The shape is
 * that of HostFacts in src/probes/probe.ts.
 */
import { deviceNumber, diskNames, liveBlockDevices } from './block-devices.ts';
import { errnoName } from './errno.ts';
import { syscallEventName, syscallTable } from './syscalls.ts';

/** Facts that do not depend on whether the machine is this one. A machine without a table has no syscalls. */
function kernelFacts(machine: string) {
  const table = syscallTable(machine);
  return {
    syscallName: (id: number): string | undefined => table?.name(id),
    syscallIds: (): readonly number[] => table?.ids ?? [],
    syscallEventName: (name: string): string => syscallEventName(name, machine),
    errnoName,
  };
}

/** Facts about this machine. `machine`: as `uname -m` has it. */
export function liveHostFacts(options: { machine: string; sysfs?: string }) {
  const devices = liveBlockDevices(options.sysfs);
  return {
    ...kernelFacts(options.machine),
    blockDeviceName: (dev: number): string => devices.name(dev),
    blockDeviceNames: (): readonly string[] | undefined => diskNames(options.sysfs),
    blockDeviceExists: (dev: number): boolean => devices.exists(dev),
  };
}

/** Facts about a machine that is not at hand. `blockDevices`: names by dev_t, as far as the capture has them. */
export function capturedHostFacts(options: { machine: string; blockDevices: ReadonlyMap<number, string> }) {
  const { blockDevices } = options;
  return {
    ...kernelFacts(options.machine),
    // Majors from 2048 on: the same 32 bits can come with a sign or without.
    blockDeviceName: (dev: number): string =>
      blockDevices.get(dev | 0) ?? blockDevices.get(dev >>> 0) ?? deviceNumber(dev),
    // The recording names some as it is read.
    blockDeviceNames: (): readonly string[] | undefined => undefined,
    blockDeviceExists: (_dev: number): boolean => true,
  };
}
