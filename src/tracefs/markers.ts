/**
 * Where programs write texts that an instance records: its own `trace_marker`, and the top level's where the kernel
 * copies them (`options/copy_trace_marker` of an instance, kernel/trace/trace.c: update_marker_trace()).
 */
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { MarkerStatus } from '../model/status.ts';
import { tryReadText } from './files.ts';
import type { Instance } from './instance.ts';
import { pathOnHost } from './mount.ts';

const COPY = 'options/copy_trace_marker';

/** Has the top level's markers copied into the instance, where the kernel can. Files have the paths of the host. */
export function receiveMarkers(instance: Pick<Instance, 'root' | 'dir' | 'name' | 'set'>): MarkerStatus {
  const own = pathOnHost(instance.root, 'instances', instance.name, 'trace_marker');
  const top = pathOnHost(instance.root, 'trace_marker');
  if (tryReadText(join(instance.dir, COPY)) === undefined)
    return {
      files: [own],
      reason: `this kernel does not copy what is written into ${top}, and spans.top_level_markers is off`,
    };
  try {
    instance.set(COPY, '1');
    return { files: [own, top], reason: '' };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { files: [own], reason: error.message };
  }
}
