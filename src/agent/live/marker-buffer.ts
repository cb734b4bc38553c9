/** Reads applications' markers from the top level's buffer. */
import { KernelError } from '../../model/errors.ts';
import type { MarkerStatus } from '../../model/status.ts';
import type { Journal } from '../../tracefs/journal/journal.ts';
import { topLevelUser } from '../../tracefs/journal/top-level-user.ts';
import { pathOnHost } from '../../tracefs/mount.ts';
import { takeTopLevelMarkers } from '../../tracefs/top-level-markers.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import { type LiveBuffer, openLiveBuffer } from './buffer.ts';
import type { Shared } from './shared.ts';
import { planStream } from './stream.ts';

/** Throws a `KernelError` if another user uses the top level. Later, `refresh` of the buffer throws in this case. */
export function openMarkerBuffer(
  probe: EnabledProbe,
  journal: Journal,
  shared: Shared,
): { buffer: LiveBuffer; warnings: readonly string[] } {
  const instance = takeTopLevelMarkers(shared.root, journal);
  try {
    const inForce = instance.prepare({ bufferBytesPerCpu: 0, subbufferBytes: 0, clock: 'mono' });
    const functions = () => ({ reason: 'markers have no addresses' });
    const planned = planStream({
      instance,
      enabled: [probe],
      reader: 'raw',
      tracer: 'nop',
      shared,
      functions,
    });
    const buffer = openLiveBuffer({ name: 'markers', instance, planned, inForce, shared, stopsWhen: '' });
    const stepBack = () => {
      const user = topLevelUser(shared.root);
      if (user !== undefined) throw new Error(`the top level is in use: ${user}`);
    };
    return {
      buffer: {
        ...buffer,
        refresh: () => {
          stepBack();
          buffer.refresh();
        },
      },
      warnings: inForce.warnings,
    };
  } catch (error) {
    instance.remove();
    throw error;
  }
}

export interface TopLevelMarkers {
  buffers: LiveBuffer[];
  warnings: readonly string[];
  status: MarkerStatus;
}

/** `status.reason`: why the agent does not read the top level's file; '' if it does. */
export function markersRead(
  before: MarkerStatus,
  root: string,
  open: () => { buffer: LiveBuffer; warnings: readonly string[] },
): TopLevelMarkers {
  try {
    const { buffer, warnings } = open();
    const status = { files: [...before.files, pathOnHost(root, 'trace_marker')], reason: '' };
    return { buffers: [buffer], warnings, status };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { buffers: [], warnings: [error.message], status: { ...before, reason: error.message } };
  }
}
