/**
 * Finds the `trace_marker` files whose markers an instance records. While an instance copies the top level's markers
 * but does not record, the kernel refuses all markers at the top level with EBADF (tracing_mark_write()). So the agent
 * copies markers only while its instance records.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { MarkerStatus } from '../model/status.ts';
import { COPY_MARKERS as COPY } from './buffers.ts';
import { tryReadText } from './files.ts';
import type { Instance } from './instance.ts';
import { pathOnHost } from './mount.ts';

/** Returns paths on the host. If the top level's file is not among them, `reason` says why. Turns copying off. */
export function receiveMarkers(instance: Pick<Instance, 'root' | 'dir' | 'name' | 'set'>): MarkerStatus {
  const own = pathOnHost(instance.root, 'instances', instance.name, 'trace_marker');
  const top = pathOnHost(instance.root, 'trace_marker');
  if (tryReadText(join(instance.dir, COPY)) === undefined)
    return {
      files: [own],
      reason: `this kernel does not copy markers from ${top}, and spans.top_level_markers is off`,
    };
  try {
    instance.set(COPY, '0');
    return { files: [own, top], reason: '' };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { files: [own], reason: error.message };
  }
}

/** Makes the kernel copy the top level's markers to the instance. The instance must be recording. */
export function startCopies(instance: Pick<Instance, 'set'>): void {
  instance.set(COPY, '1');
}

/** Describes another instance that makes the kernel refuse all markers at the top level. Undefined if none does. */
export function markersRefused(root: string, own: string): string | undefined {
  const guilty = readdirSync(join(root, 'instances')).find((name) => {
    const shows = (file: string) => tryReadText(join(root, 'instances', name, file))?.trim();
    return name !== own && shows(COPY) === '1' && shows('tracing_on') === '0';
  });
  if (guilty === undefined) return undefined;
  const dir = pathOnHost(root, 'instances', guilty);
  return `programs cannot write markers into ${pathOnHost(root, 'trace_marker')}: ${dir} copies them, but its recording is off; remove that directory, or write 1 to its tracing_on`;
}
