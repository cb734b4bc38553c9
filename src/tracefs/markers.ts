/**
 * Finds the `trace_marker` files whose markers an instance records: the instance's own file and, if the kernel has the
 * option `copy_trace_marker`, the top level's file. Source: kernel/trace/trace.c, update_marker_trace(),
 * tracing_mark_write().
 *
 * If an instance copies markers while it does not record, the kernel refuses every marker at the top level with EBADF,
 * because tracing_mark_write() stops at the first buffer that refuses the marker. So the agent turns copying on only
 * while its instance records.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { MarkerStatus } from '../model/status.ts';
import { COPY_MARKERS as COPY } from './buffers.ts';
import { tryReadText } from './files.ts';
import type { Instance } from './instance.ts';
import { pathOnHost } from './mount.ts';

/**
 * Returns the `trace_marker` files whose markers the instance can record, as paths on the host. If the top level's file
 * is not among them, `reason` says why. Turns copying off; `startCopies` turns it on.
 */
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

/**
 * If another instance makes the kernel refuse markers at the top level, returns a message that names the other
 * instance. Otherwise, returns undefined. `own` is the name of the agent's instance.
 */
export function markersRefused(root: string, own: string): string | undefined {
  const guilty = readdirSync(join(root, 'instances')).find((name) => {
    const shows = (file: string) => tryReadText(join(root, 'instances', name, file))?.trim();
    return name !== own && shows(COPY) === '1' && shows('tracing_on') === '0';
  });
  if (guilty === undefined) return undefined;
  const dir = pathOnHost(root, 'instances', guilty);
  return `programs cannot write markers into ${pathOnHost(root, 'trace_marker')}: ${dir} copies them, but its recording is off; remove that directory, or write 1 to its tracing_on`;
}
