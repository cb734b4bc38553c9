/** Kernels before about 5.11 refuse access to `/sys/block/DISK/trace/` with ENXIO unless the disk is open. */
import { closeSync, constants, openSync } from 'node:fs';
import { KernelError } from '../model/errors.ts';
import { refusal } from './files.ts';

const SWITCH = /^\/sys\/block\/([^/]+)\/trace\/[^/]+$/;

/** Returns the result of `access`, which reads or writes `file`. On ENXIO, opens the disk and calls `access` again. */
export function withDiskOpen<T>(file: string, access: () => T): T {
  try {
    return access();
  } catch (error) {
    const disk = SWITCH.exec(file)?.[1];
    if (disk === undefined || !(error instanceof KernelError) || error.errno !== 'ENXIO') throw error;
    // Device names in sysfs contain `!` instead of `/`.
    const fd = openDevice(`/dev/${disk.replaceAll('!', '/')}`);
    try {
      return access();
    } finally {
      closeSync(fd);
    }
  }
}

function openDevice(device: string): number {
  try {
    return openSync(device, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const remedy =
      'this kernel traces a disk only if it is open when tracing is switched on: mount it, or make its device node visible';
    throw refusal(error, { file: device, action: 'open', remedy });
  }
}
