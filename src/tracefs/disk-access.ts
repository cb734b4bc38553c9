/**
 * Kernels before 5.11 or so answer in `/sys/block/DISK/trace/` only while somebody has the disk open, by ENXIO
 * (tried on 5.10; kernel/trace/blktrace.c, blk_trace_get_queue()). A mounted disk is open.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { KernelError } from '../model/errors.ts';
import { refusal } from './files.ts';

const SWITCH = /^\/sys\/block\/([^/]+)\/trace\/[^/]+$/;

/** Does `access` to a file; where the kernel wants the disk to be open for that, opens it meanwhile. */
export function withDiskOpen<T>(file: string, access: () => T): T {
  try {
    return access();
  } catch (error) {
    const disk = SWITCH.exec(file)?.[1];
    if (disk === undefined || !(error instanceof KernelError) || error.errno !== 'ENXIO') throw error;
    // The kernel writes `!` for the `/` of a device's name. Reading changes nothing, not even on a removable disk.
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
      'this kernel traces a disk only if it is open when that is switched on: mount it, or make its device node visible';
    throw refusal(error, { file: device, action: 'open', remedy });
  }
}
